"""The refusal of a record in words: what Pydantic found, as the rule and the value."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from results.records.record_values import Rule
from trainable.report.column import kind_of

# Of the metrics of an epoch, whose fields have no rule in words.
KIND_RULES = {
    float: "a number or null",
    int: "a whole number or null",
    tuple: "a list of numbers or null",
}


def complaint(
    kind: type[BaseModel], raw: Mapping[str, Any], error: ValidationError, depth: int = 0
) -> str:
    """Return what is wrong with a record: missing fields, else its first field with a wrong value.

    Args:
        kind: The record's class.
        raw: Its fields as they were given.
        error: Pydantic's refusal.
        depth: Position of the field's name in the locations of the error.
    """
    event = kind.model_fields["event"].default
    faults = error.errors(include_url=False)
    names = {str(fault["loc"][depth]) for fault in faults if len(fault["loc"]) > depth}
    # `time_s` has a default, which breaks its rule.
    if missing := sorted(names - raw.keys()):
        return f"{event} must have {', '.join(missing)}"
    for name, value in raw.items():
        if name in names:
            field = kind.model_fields[name]
            rule = _rule_of(field) or KIND_RULES[kind_of(field)]
            return f"{name} of {event} must be {rule}, got {str(value)[:60]!r}"
    return str(faults[0]["ctx"]["error"])


def _rule_of(annotated: Any) -> str:
    """Return the text of the rule of a field, or of an annotated type."""
    metadata = getattr(annotated, "metadata", getattr(annotated, "__metadata__", ()))
    for each in metadata:
        if isinstance(each, Rule):
            return each.text
    # Of an optional field the rule belongs to a part of its type.
    parts = get_args(getattr(annotated, "annotation", annotated))
    return next(filter(None, map(_rule_of, parts)), "")
