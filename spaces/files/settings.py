"""The base class of settings that are read from files or the command line."""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Settings(BaseModel):
    """Base of frozen settings; unknown keys are errors, so that a misspelt one is not ignored.

    Attributes:
        elsewhere: Where keys belong that are easily looked for here, for the message about an
            unknown key.
        remedies: How required keys can be given, for the message about a missing one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    elsewhere: ClassVar[Mapping[str, str]] = {}
    remedies: ClassVar[Mapping[str, str]] = {}

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` for a number, which pydantic would take as 1."""
        if isinstance(value, bool):
            kinds = _kinds(cls.model_fields[str(info.field_name)].annotation)
            if kinds & {int, float} and bool not in kinds:
                raise ValueError(f"must be a number, got {str(value).lower()}")
        return value


def _kinds(annotation: Any) -> set[Any]:
    """Return the types that an annotation names, without those inside lists and mappings."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return {kind for part in get_args(annotation) for kind in _kinds(part)}
    return {annotation}
