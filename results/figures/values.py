"""Scales that map values of a parameter to heights from 0 to 1: linear, log or categorical."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

from results.analysis.run_view import RunView
from results.figures.style import format_value
from spaces.dimensions import Choice

_NUM_TICKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A scale of the values of one parameter.

    Attributes:
        low: Lowest value; not used for categories.
        high: Highest value; not used for categories.
        is_log: Whether the scale is logarithmic.
        categories: Values in order, if the parameter is categorical; else empty.
    """

    low: float = 0.0
    high: float = 1.0
    is_log: bool = False
    categories: tuple[Any, ...] = ()

    @classmethod
    def of_numbers(cls, values: Iterable[float], *, is_log: bool = False) -> "Scale":
        """Return a scale from the lowest to the highest value; logarithmic only above 0."""
        known = list(values)
        return cls(low=min(known), high=max(known), is_log=is_log and min(known) > 0)

    @property
    def is_category(self) -> bool:
        """Whether the scale has categories."""
        return bool(self.categories)

    def height(self, value: Any) -> float:
        """Return the height of a value, from 0 to 1; 0.5 where there is only one value."""
        if self.is_category:
            last = len(self.categories) - 1
            return self.index_of(value) / last if last else 0.5
        low, high, own = self.low, self.high, float(value)
        if self.is_log:
            low, high, own = log10(low), log10(high), log10(own)
        return (own - low) / (high - low) if high > low else 0.5

    def index_of(self, value: Any) -> int:
        """Return the index of a category. By text, since True == 1 in Python."""
        return [repr(each) for each in self.categories].index(repr(value))

    def ticks(self) -> list[tuple[float, str]]:
        """Return pairs of height and label."""
        if self.is_category:
            return [(self.height(each), format_value(each)) for each in self.categories]
        if self.low == self.high:
            return [(0.5, format_value(self.low))]
        parts = [number / (_NUM_TICKS - 1) for number in range(_NUM_TICKS)]
        return [(part, f"{self._value(part):.3g}") for part in parts]

    def _value(self, part: float) -> float:
        if self.is_log:
            # The geometric mean of the ends: even steps on a logarithmic axis.
            return float(self.low ** (1 - part) * self.high**part)
        return self.low + part * (self.high - self.low)


def scale_of(view: RunView, name: str) -> Scale:
    """Return the scale of a sampled parameter over the values of the search's own trials."""
    dimension = next((each for each in view.dimensions if each.name == name), None)
    values = [trial.params[name] for trial in view.own if name in trial.params]
    # Without its dimension in the space, a parameter is treated as categorical.
    if dimension is None or isinstance(dimension, Choice) or not _are_numbers(values):
        order = () if not isinstance(dimension, Choice) else dimension.choices
        return Scale(categories=_in_order(values, order))
    return Scale.of_numbers(values, is_log=dimension.log)


def _in_order(values: Sequence[Any], order: Sequence[Any]) -> tuple[Any, ...]:
    """Return each value once: numbers by size, other values in the order of the space."""
    found = {repr(value): value for value in values}
    if _are_numbers(list(found.values())):
        return tuple(sorted(found.values()))
    known = [each for each in order if repr(each) in found]
    rest = [value for text, value in found.items() if text not in {repr(k) for k in known}]
    return (*known, *rest)


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
