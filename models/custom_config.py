"""The config of a model from the person's own file."""

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

from models.base import ModelConfig

CLASS_PATTERN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", re.ASCII)


def is_custom_family(family: object) -> bool:
    """Whether a family is meant as a class in a file: the bundled names are single words."""
    return isinstance(family, str) and bool(set(":./\\") & set(family))


def _names_a_class(family: str) -> str:
    if not CLASS_PATTERN.fullmatch(family):
        raise ValueError(
            "a class of your own must be named package.module:Class, as in "
            f"my_students.conv:Net, got {family!r}"
        )
    return family


class CustomModelConfig(ModelConfig):
    """A model from the person's own file, whose further keys are for its class alone.

    They are checked when the model is built, since only its class knows them. What Veer itself
    must know stands here, and is given to the class as well.

    Attributes:
        has_reconstruction: True, since that is unknown until the model is built; training then
            refuses a reconstruction term without a reconstruction.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    has_reconstruction: ClassVar[bool] = True

    family: Annotated[str, AfterValidator(_names_a_class)] = Field(
        description="Where the class is: package.module:Class, from the working folder."
    )
    num_frames: int | None = Field(
        None,
        ge=8,
        le=4000,
        description="Frames of a crop (10 ms each) where the model takes no other length.",
    )

    @property
    def fixed_frames(self) -> int | None:
        """`num_frames`, None where any length will do."""
        return self.num_frames

    @property
    def arguments(self) -> dict[str, object]:
        """What the class is given: all keys but the family, `num_frames` only where it is set."""
        without = {"family"} if self.num_frames is not None else {"family", "num_frames"}
        return self.model_dump(exclude=without)
