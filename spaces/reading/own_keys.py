"""Configs that take keys of their own: where one may stand, and what a range of such a key is."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from spaces.dimensions import Choice, Float, Integer

RANGE_MARKERS = frozenset({"choices", "low", "high"})
NUMBER_KEYS = ("low", "high", "step")


def allows_extra_keys(model: type[BaseModel]) -> bool:
    """Whether a config class takes keys that it does not know."""
    return model.model_config.get("extra") == "allow"


def is_candidate(model: type[BaseModel], node: Mapping[str, Any]) -> bool:
    """Whether a config class can be meant by a part of a space.

    One that takes any key must be named: each of its required settings stands in the node with a
    value that it allows, fixed or among the choices.
    """
    if not allows_extra_keys(model):
        return True
    required = {name: field for name, field in model.model_fields.items() if field.is_required()}
    return all(
        any(_allows(field, value) for value in _values(node.get(name)))
        for name, field in required.items()
    )


def own_range_class(spec: object) -> type[Choice] | type[Float] | type[Integer] | None:
    """The kind of range that a key's own value is, None where it is no range.

    Nothing is known of the key, so a range is whole where all its numbers are.
    """
    if not isinstance(spec, Mapping) or not RANGE_MARKERS & spec.keys():
        return None
    if "choices" in spec:
        return Choice
    numbers = [spec[key] for key in NUMBER_KEYS if key in spec]
    return Integer if all(isinstance(number, int) for number in numbers) else Float


def _values(setting: object) -> list[object]:
    if isinstance(setting, Mapping):
        choices = setting.get("choices")
        return choices if isinstance(choices, list) else []
    return [setting]


def _allows(field: FieldInfo, value: object) -> bool:
    try:
        annotated: Any = Annotated[(field.annotation, *field.metadata)]
        TypeAdapter(annotated).validate_python(value)
    except ValidationError:
        return False
    return True
