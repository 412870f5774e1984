"""The dimensions of a space: numbers between closed bounds, and choices.

A dimension's name is dotted, as `loss.alpha`. It is active where all its conditions hold.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, field_validator, model_validator

from spaces.files.complaints import short_repr

Value = bool | int | float | str | None

# Of the number of steps from `low`: 0.1 + 2 * 0.1 is not 0.3 in binary, and is on a step of 0.1.
STEP_TOLERANCE = 1e-9
# Name of the dimension whose values are the names of bundled trial configs.
PRESET = "preset"


def equal_values(one: object, other: object) -> bool:
    """Return whether two values are equal; unlike in Python, True is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _scalar(value: Any) -> Value:
    if value is not None and not isinstance(value, bool | int | float | str):
        raise ValueError(f"must be one number, word or truth value, got {short_repr(value)}")
    # A choice of nan would equal no value, so a config could not be mapped back onto it.
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be finite, got {value}")
    return value


Scalar = Annotated[Value, PlainValidator(_scalar)]
# Strict, since pydantic would otherwise read "1" and true as the number 1.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(_Frozen):
    """A rule on another parameter: it is active, and has one of the values or none of them.

    Attributes:
        parameter: Dotted name of the other parameter.
        values: The values with which the condition holds; empty if `excluded` is set.
        excluded: The values with which it does not hold.
        otherwise: Whether the condition holds if the other parameter is not active.
    """

    parameter: str
    values: tuple[Scalar, ...] = ()
    excluded: tuple[Scalar, ...] = ()
    otherwise: bool = False

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if bool(self.values) == bool(self.excluded):
            raise ValueError(f"must name values or excluded values of {self.parameter}")
        return self

    def allows(self, value: object) -> bool:
        """Return whether the condition holds if the other parameter has this value."""
        if self.excluded:
            return not any(equal_values(value, each) for each in self.excluded)
        return any(equal_values(value, each) for each in self.values)


def is_active(when: Iterable[Condition], values: Mapping[str, object]) -> bool:
    """Return whether all conditions hold, given the values of the active and fixed parameters."""
    return all(
        each.allows(values[each.parameter]) if each.parameter in values else each.otherwise
        for each in when
    )


class WithConditions(_Frozen):
    """Base of a setting of a space that may have conditions.

    Attributes:
        name: Dotted name of the setting in the config tree.
        when: Conditions, all of which must hold. May be given as a mapping from parameter to
            value or values, or to `{not: value or values}`.
    """

    name: str
    when: tuple[Condition, ...] = ()

    @field_validator("when", mode="before")
    @classmethod
    def _from_mapping(cls, when: object) -> object:
        if not isinstance(when, Mapping | list | tuple):
            form = "{loss.distillation: mse}"
            raise ValueError(f"must be a mapping, such as {form}, got {when!r}")
        if not isinstance(when, Mapping):
            return when
        return [_condition(name, values) for name, values in when.items()]


def _condition(name: str, values: object) -> dict[str, object]:
    form = "values"
    if isinstance(values, Mapping):
        if list(values) != ["not"]:
            raise ValueError(f"must be a value, values or {{not: ...}} for {name!r}, got {values}")
        form, values = "excluded", values["not"]
    listed = list(values) if isinstance(values, list | tuple) else [values]
    if not listed:
        raise ValueError(f"must name at least one value, got none for {name!r}")
    return {"parameter": name, form: listed}


class Float(WithConditions):
    """A number from low to high, both included: uniform, uniform on a log scale, or in steps."""

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
        """Return whether the value is in the range and, up to rounding, on a step."""
        # A bool is an int in Python, and true in a config is not the number 1.
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.step is None:
            return self.low <= value <= self.high
        steps = (value - self.low) / self.step
        inside = self.low <= value <= self.high
        return inside and abs(steps - round(steps)) <= STEP_TOLERANCE * max(1, abs(steps))

    def extremes(self) -> tuple[float, ...]:
        """Return the lower and the upper bound, in this order."""
        return (self.low, self.high)

    def num_points(self) -> int | None:
        """Return the number of values, None if the range is continuous."""
        if self.low == self.high:
            return 1
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def points(self) -> Iterator[float]:
        """Return the values in ascending order.

        Raises:
            ValueError: The range is continuous.
        """
        if (num_points := self.num_points()) is None:
            raise ValueError(
                f"{self.name} is continuous, from {self.low} to {self.high}: give it a step, or "
                "choices"
            )
        # In decimals, since repeated steps of 0.1 in binary drift away from the written values.
        low, step = Decimal(str(self.low)), Decimal(str(self.step or 0))
        return (float(low + number * step) for number in range(num_points))


class Integer(WithConditions):
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
        """Return whether the value is whole, in the range and on a step."""
        # As for `Float`: a bool is an int in Python.
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def extremes(self) -> tuple[int, ...]:
        """Return the lower and the upper bound, in this order."""
        return (self.low, self.high)

    def num_points(self) -> int:
        """Return the number of values."""
        return len(range(self.low, self.high + 1, self.step))

    def points(self) -> Iterator[int]:
        """Return the values in ascending order."""
        return iter(range(self.low, self.high + 1, self.step))


class Choice(WithConditions):
    """One of the listed values, in no particular order."""

    choices: tuple[Scalar, ...] = Field(min_length=1)

    @field_validator("choices")
    @classmethod
    def _differ(cls, choices: tuple[Value, ...]) -> tuple[Value, ...]:
        # In pairs, not by a set: a set would take True and 1 for the same choice.
        for position, value in enumerate(choices):
            if any(equal_values(value, earlier) for earlier in choices[:position]):
                raise ValueError(f"choices must differ, got {value!r} twice")
        return choices

    def contains(self, value: object) -> bool:
        """Return whether the value is among the choices."""
        return any(equal_values(value, choice) for choice in self.choices)

    def extremes(self) -> tuple[Value, ...]:
        """Return all choices: unlike numbers, none lies between two others."""
        return self.choices

    def num_points(self) -> int:
        """Return the number of choices."""
        return len(self.choices)

    def points(self) -> Iterator[Value]:
        """Return the choices in the order given."""
        return iter(self.choices)


Dimension = Float | Integer | Choice


def _check_range(range_: Float | Integer) -> None:
    low, high, step = range_.low, range_.high, range_.step
    if low > high:
        raise ValueError(f"low <= high must hold, got low={low}, high={high}")
    if range_.log and low <= 0:
        raise ValueError(f"a log range must lie above 0, got low={low}")
    # Optuna refuses a step together with a log scale; 1 is the default of an `Integer`.
    if range_.log and step not in (None, 1):
        raise ValueError(f"a log range has no steps, got step={step}")
    # In decimals, since 0.3 % 0.1 is not 0 in binary.
    if step is not None and (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)):
        raise ValueError(
            f"high must be a whole number of steps above low, got low={low}, high={high}, "
            f"step={step}"
        )
