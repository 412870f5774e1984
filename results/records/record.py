"""What all records of a journal have.

A field that may be absent is None to readers, and is not written unless it was given.
"""

import math
import time
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError

from results.records.record_errors import complaint
from results.records.record_values import NEVER_NULL, Count, RecordValue, UnixTime
from trainable.report.column import Column

_GIVEN_FIELDS: dict[frozenset[str], set[str]] = {}


class Record(RecordValue):
    """What all records have. Fields that a record's class does not name are kept as they are.

    Args:
        fields: The values. They are copied and put into JSON's types: paths become text, NumPy
            scalars numbers, and numbers that are not finite None, because JSON has none. None
            leaves out a field that may be absent.

    Attributes:
        event: The name of the record's class in the journal.
        time_s: When it was made, seconds since 1970 UTC; now unless it is given.

    Raises:
        ValueError: A field is missing or breaks its rule.
    """

    # The fields that begin a line; the others follow in the order of the class.
    WRITTEN_FIRST: ClassVar[tuple[str, ...]] = ("event", "time_s")

    event: str
    # A record that is read must have it: None breaks the rule.
    time_s: UnixTime = Field(default=None, validate_default=True)

    def __init__(self, **fields: Any) -> None:
        lacked = {name for name in self._may_lack() if fields.get(name) is None}
        given = {name: value for name, value in fields.items() if name not in lacked}
        plain = as_plain({"time_s": time.time(), **given})
        try:
            super().__init__(**plain)
        except ValidationError as error:
            raise ValueError(complaint(type(self), plain, error)) from error

    # Not called for records that are read, whose values have JSON's types.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    @cache
    def _may_lack(cls) -> frozenset[str]:
        fields = cls.model_fields.items()
        return frozenset(name for name, field in fields if NEVER_NULL in field.metadata)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as the journal has them, without those that were not given."""
        first = {name: getattr(self, name) for name in self.WRITTEN_FIRST}
        return first | self.model_dump(mode="json", exclude_unset=True)

    def model_post_init(self, context: Any) -> None:  # noqa: ARG002 - Pydantic passes it
        """Share the set of the given fields' names with all records that have the same."""
        # A set of its own is 2 of the 4 KB of an epoch, and a search keeps all its epochs.
        given = self.__pydantic_fields_set__
        shared = _GIVEN_FIELDS.setdefault(frozenset(given), given)
        object.__setattr__(self, "__pydantic_fields_set__", shared)


class TrialRecord(Record):
    """A record of one trial.

    Attributes:
        trial: Its number, from 0.
    """

    trial: Annotated[Count, Column(meaning="Number of the trial.")]


def as_plain(value: Any) -> Any:
    """Return a value in JSON's types: paths as text, NumPy scalars as numbers, NaN as None."""
    if isinstance(value, dict):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    # NumPy scalars and 0-d tensors, without an import of NumPy or torch here.
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
