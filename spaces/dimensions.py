"""What may vary in a space: numbers between closed bounds, and choices.

A dimension's name is dotted, as `loss.alpha`. It is active where all its conditions hold.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, field_validator, model_validator

from spaces.complaints import shown

Value = bool | int | float | str | None

STEP_TOLERANCE = 1e-9


def same(one: object, other: object) -> bool:
    """Equality of values; unlike Python's, True is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _scalar(value: Any) -> Value:
    if value is not None and not isinstance(value, bool | int | float | str):
        raise ValueError(f"must be one number, word or truth value, got {shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be finite, got {value}")
    return value


Scalar = Annotated[Value, PlainValidator(_scalar)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(_Frozen):
    """Holds where another parameter is active and has one of the values."""

    parameter: str
    values: tuple[Scalar, ...] = Field(min_length=1)

    def allows(self, value: object) -> bool:
        """Whether the other parameter may have this value."""
        return any(same(value, each) for each in self.values)


class _Dimension(_Frozen):
    """Root of the kinds.

    Attributes:
        name: Dotted place in the config tree.
        when: Conditions, all of which must hold; a mapping of parameter to value or values is
            taken too.
    """

    name: str
    when: tuple[Condition, ...] = ()

    @field_validator("when", mode="before")
    @classmethod
    def _from_mapping(cls, when: object) -> object:
        if not isinstance(when, Mapping):
            return when
        lists = {name: v if isinstance(v, list | tuple) else [v] for name, v in when.items()}
        if empty := [name for name, values in lists.items() if not values]:
            raise ValueError(f"must name a value to wait for, got none for {empty[0]!r}")
        return [{"parameter": name, "values": values} for name, values in lists.items()]


class Float(_Dimension):
    """A number from low to high, both included, evenly on a line, on a log scale or in steps."""

    bound_keys: ClassVar = ("low", "high")
    low: Number
    high: Number
    log: Flag = False
    step: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _range_is_sound(self) -> Self:
        _check_range(self)
        return self

    def contains(self, value: object) -> bool:
        """Whether the value is in the range and, up to rounding, on a step."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.step is None:
            return self.low <= value <= self.high
        steps = (value - self.low) / self.step
        inside = self.low <= value <= self.high
        return inside and abs(steps - round(steps)) <= STEP_TOLERANCE * max(1, abs(steps))

    def extremes(self) -> tuple[float, ...]:
        """The bounds."""
        return (self.low, self.high)


class Integer(_Dimension):
    """A whole number from low to high, both included."""

    bound_keys: ClassVar = ("low", "high")
    low: Whole
    high: Whole
    step: Annotated[int, Field(strict=True, gt=0)] = 1
    log: Flag = False

    @model_validator(mode="after")
    def _range_is_sound(self) -> Self:
        _check_range(self)
        return self

    def contains(self, value: object) -> bool:
        """Whether the value is whole, in the range and on a step."""
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def extremes(self) -> tuple[int, ...]:
        """The bounds."""
        return (self.low, self.high)


class Choice(_Dimension):
    """One of the listed values, which need no order."""

    choices: tuple[Scalar, ...] = Field(min_length=1)

    @field_validator("choices")
    @classmethod
    def _differ(cls, choices: tuple[Value, ...]) -> tuple[Value, ...]:
        for place, value in enumerate(choices):
            if any(same(value, earlier) for earlier in choices[:place]):
                raise ValueError(f"choices must differ, got {value!r} twice")
        return choices

    def contains(self, value: object) -> bool:
        """Whether the value is among the choices."""
        return any(same(value, choice) for choice in self.choices)

    def extremes(self) -> tuple[Value, ...]:
        """All choices, since none lies between others."""
        return self.choices


Dimension = Float | Integer | Choice


def _check_range(range_: Float | Integer) -> None:
    low, high, step = range_.low, range_.high, range_.step
    if low > high:
        raise ValueError(f"low <= high must hold, got low={low}, high={high}")
    if range_.log and low <= 0:
        raise ValueError(f"a log range must lie above 0, got low={low}")
    if range_.log and step not in (None, 1):
        raise ValueError(f"a log range has no steps, got step={step}")
    if step is not None and (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)):
        raise ValueError(
            f"high must be a whole number of steps above low, got low={low}, high={high}, "
            f"step={step}"
        )
