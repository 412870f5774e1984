"""Validation errors of pydantic, worded for the user who wrote the setting."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Keys = tuple[str | int, ...]

# Rules in which pydantic names types of Python, in the words of a YAML file.
IN_YAML: Mapping[str, str] = MappingProxyType(
    {
        "must be a valid boolean, unable to interpret input": "must be true or false",
        "must be a valid boolean": "must be true or false",
        "must be a valid tuple": "must be a list, such as [a, b]",
        "must be a valid list": "must be a list, such as [a, b]",
        "must be a valid dictionary": "must be a mapping, such as {name: value}",
        "Input is not a valid path for <class 'pathlib.Path'>": "must be a path",
        "Input is not a valid path": "must be a path",
    }
)
# A value and its rule fit on one line of a terminal.
MAX_VALUE_CHARS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Complaint:
    """One broken rule of a config.

    Attributes:
        keys: The keys from the root to the setting; empty for the whole config.
        text: The rule, the value, and the nearest valid name if there is one.
    """

    keys: Keys
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.keys)}: {self.text}" if self.keys else self.text


def complaints(
    cls: type[BaseModel], error: ValidationError, data: Mapping[str, Any]
) -> list[Complaint]:
    """Translate pydantic's errors about `data`, in pydantic's order and without duplicates."""
    found = (_complaint(cls, detail, data) for detail in error.errors(include_url=False))
    # A union may report the same fault once for each of its members.
    return list(dict.fromkeys(found))


def dotted(keys: Keys) -> str:
    """Return the key path as people write it: `loss.alpha`, `choices[2]`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def short_repr(value: object) -> str:
    """Return `repr(value)`, at most `MAX_VALUE_CHARS` characters; a quotation stays closed."""
    text = repr(value)
    if len(text) <= MAX_VALUE_CHARS:
        return text
    end = text[-1] if isinstance(value, str) else ""
    return f"{text[: MAX_VALUE_CHARS - 3 - len(end)]}...{end}"


def did_you_mean(name: object, valid: Iterable[str]) -> str:
    """Return a clause with the nearest valid name, or with all of them when none is near."""
    options = list(valid)
    near = _nearest_name(name, options)
    if near is not None:
        return f"; did you mean {near!r}?"
    return f"; valid: {', '.join(options)}" if options else ""


def _nearest_name(name: object, valid: Iterable[str]) -> str | None:
    """Return the nearest valid name, None if none is near; case does not count."""
    by_lower = {each.lower(): each for each in valid}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def config_classes_at(cls: type[BaseModel], loc: Keys) -> list[type[BaseModel]]:
    """Return the config classes that a config may have at a location.

    Args:
        cls: The class at the root.
        loc: Field names. May include the tags of discriminated unions, which pydantic adds.
    """
    classes = [cls]
    for part in loc:
        inner = [
            model
            for outer in classes
            if part in outer.model_fields
            for model in config_classes_in(outer.model_fields[str(part)].annotation)
        ]
        tagged = [model for model in classes if part in _tags(model)]
        classes = inner or tagged or classes
    return classes


def _complaint(cls: type[BaseModel], detail: ErrorDetails, data: Mapping[str, Any]) -> Complaint:
    loc, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    keys, value = _keys_in(data, loc, missing=kind == "missing"), detail["input"]
    if kind == "extra_forbidden":
        return Complaint(keys=keys, text=f"unknown key{_place_of(cls, loc)}")
    if kind == "missing":
        remedies = (getattr(model, "remedies", {}) for model in config_classes_at(cls, loc[:-1]))
        remedy = next((f"; {each[loc[-1]]}" for each in remedies if loc[-1] in each), "")
        return Complaint(keys=keys, text=f"required, but not given{remedy}")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        # pydantic reports the union as a whole; the user must change its tag field.
        keys = (*keys, context["discriminator"].strip("'"))
        if kind == "union_tag_not_found":
            return Complaint(keys=keys, text="required, but not given")
        valid, value = context["expected_tags"], context["tag"]
        rule = f"must be one of {valid}"
    else:
        valid = context.get("expected", "") if kind == "literal_error" else ""
        rule = _rule(detail["msg"])
    # Rules of Veer's own validators name the value already; a whole mapping is too long.
    if " got " in rule or isinstance(value, Mapping):
        return Complaint(keys=keys, text=rule)
    near = _nearest_name(value, re.findall(r"'([^']*)'", valid))
    hint = "" if near is None else f"; did you mean {near!r}?"
    return Complaint(keys=keys, text=f"{rule}, got {short_repr(value)}{hint}")


def _place_of(cls: type[BaseModel], loc: Keys) -> str:
    """Return a clause on where an unknown key belongs, or what it may be a misspelling of."""
    models = config_classes_at(cls, loc[:-1])
    for model in models:
        if place := getattr(model, "elsewhere", {}).get(loc[-1]):
            return f"; it is {place}"
    fields = dict.fromkeys(name for model in models for name in model.model_fields)
    inside = [
        f"{name}.{loc[-1]}"
        for model in models
        for name, field in model.model_fields.items()
        if any(loc[-1] in each.model_fields for each in config_classes_in(field.annotation))
    ]
    return did_you_mean(loc[-1], fields) if not inside else f"; did you mean {inside[0]!r}?"


def _rule(message: str) -> str:
    """Return pydantic's message in the form of Veer's own rules: `must be ...`."""
    rule = re.sub(r"^[A-Z]\w+ should", "must", message.removeprefix("Value error, "))
    rule = rule.partition(" after validation")[0]
    return IN_YAML.get(rule, rule)


def _keys_in(data: object, loc: Keys, *, missing: bool) -> Keys:
    """Drop what pydantic adds to a location: union tags and the names of validators."""
    keys: list[str | int] = []
    for position, part in enumerate(loc):
        inside = (isinstance(data, Mapping) and part in data) or (
            isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        )
        if inside:
            data = data[part]  # type: ignore[index]  # checked above
        if inside or (missing and position == len(loc) - 1):
            keys.append(part)
    return tuple(keys)


def config_classes_in(annotation: object) -> list[type[BaseModel]]:
    """Return the config classes that a field's annotation names, also inside unions and lists."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    # The arguments of a Literal are values, not types.
    if get_origin(annotation) is Literal or annotation is NoneType:
        return []
    return [model for part in get_args(annotation) for model in config_classes_in(part)]


def _tags(model: type[BaseModel]) -> set[object]:
    annotations = (field.annotation for field in model.model_fields.values())
    return {tag for kind in annotations if get_origin(kind) is Literal for tag in get_args(kind)}
