"""The config of a model from a file of the user's."""

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

from models.base import ModelConfig

CLASS_PATTERN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", re.ASCII)


def is_custom_family(family: object) -> bool:
    """Return whether a family names a class in a file: the bundled names are single words."""
    return isinstance(family, str) and bool(set(":./\\") & set(family))


def _names_a_class(family: str) -> str:
    if not CLASS_PATTERN.fullmatch(family):
        raise ValueError(
            "a class of your own must be named package.module:Class, as in "
            f"my_students.conv:Net, got {family!r}"
        )
    return family


class CustomModelConfig(ModelConfig):
    """A model from a file of the user's; unknown keys are arguments of its class.

    Those keys are checked when the model is built, since only its class knows them. The fields
    here are the settings that Veer itself needs; the class receives them too.

    Attributes:
        has_reconstruction: True, since the answer is unknown until the model is built. Training
            refuses a reconstruction term for a model that returns no reconstruction.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    has_reconstruction: ClassVar[bool] = True

    family: Annotated[str, AfterValidator(_names_a_class)] = Field(
        description="Location of the class: package.module:Class, from the working folder."
    )
    num_frames: int | None = Field(
        None,
        ge=8,
        le=4000,
        description="Frames of a crop (10 ms each) if the model takes no other length.",
    )

    @property
    def fixed_frames(self) -> int | None:
        """`num_frames`; None if any length is accepted."""
        return self.num_frames

    @property
    def arguments(self) -> dict[str, object]:
        """The arguments of the class: all keys but the family; `num_frames` only if it is set."""
        without = {"family"} if self.num_frames is not None else {"family", "num_frames"}
        return self.model_dump(exclude=without)
