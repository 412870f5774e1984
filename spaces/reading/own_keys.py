"""Config classes with open keys: those of a user's own model, known only to its class.

This module decides whether a part of a space is of such a class, and the type of its ranges.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from spaces.dimensions import Choice, Float, Integer

RANGE_MARKERS = frozenset({"choices", "low", "high"})
NUMBER_KEYS = ("low", "high", "step")


def allows_extra_keys(model: type[BaseModel]) -> bool:
    """Return whether a config class accepts keys that it does not define."""
    return model.model_config.get("extra") == "allow"


def is_candidate(model: type[BaseModel], node: Mapping[str, Any]) -> bool:
    """Return whether a part of a space can be a config of this class.

    A class that accepts any key must be named, or no misspelt key would be found: the node must
    give each of its required settings a value that it allows, fixed or among choices.
    """
    if not allows_extra_keys(model):
        return True
    required = {name: field for name, field in model.model_fields.items() if field.is_required()}
    return all(
        any(_allows(field, value) for value in _values(node.get(name)))
        for name, field in required.items()
    )


def own_range_class(spec: object) -> type[Choice] | type[Float] | type[Integer] | None:
    """Return the class of the range that an open key has, None if its value is no range.

    The type of the key is unknown, so a range of whole numbers becomes an `Integer`.
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
        # pydantic keeps the constraints of a field apart from its type.
        annotated: Any = Annotated[(field.annotation, *field.metadata)]
        TypeAdapter(annotated).validate_python(value)
    except ValidationError:
        return False
    return True
