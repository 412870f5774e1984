"""What the benchmark `search` searches: recorded or made-up students whose true quality is known.

Shapes: N configs of a bank, E epochs, D dimensions of its space.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spaces.dimensions import Choice, Dimension, Float, Integer
from spaces.space import Space

Floats = NDArray[np.float64]
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Student:
    """The course of one config with one kind of weights.

    Attributes:
        veer_pct: (E,) VEER that a search sees after each epoch, percent; NaN once it diverged.
        dprime: (E,) d' that a search sees; None if the bank has none.
        true_pct: (E,) what the student of that epoch is worth, percent.
        epoch_s: Simulated seconds of an epoch.
    """

    veer_pct: Floats
    dprime: Floats | None
    true_pct: Floats
    epoch_s: float


class Problem(Protocol):
    """One search problem, new for each search.

    Attributes:
        space: The space to search.
        max_epochs: Epochs of a trial at full length.
    """

    space: Space
    max_epochs: int

    def student(self, params: Mapping[str, Any]) -> Student | None:
        """Return what a suggestion gives, None if the bank is used up."""


def equivalent_dprime(eer_pct: Floats) -> Floats:
    """Return the d' of two normal distributions of one variance with these EERs."""
    return np.array([-2 * NORMAL.inv_cdf(min(0.999, each / 100)) for each in eer_pct])


def random_params(space: Space, rng: np.random.Generator) -> dict[str, Any]:
    """Draw params, every range evenly on its own scale."""

    def pick(dimension: Dimension) -> Any:
        match dimension:
            case Choice(choices=choices):
                return choices[rng.integers(len(choices))]
            case Integer(low=low, high=high):
                return int(rng.integers(low, high + 1))
            case Float(low=low, high=high, log=True):
                drawn = float(np.exp(rng.uniform(math.log(low), math.log(high))))
                return min(high, max(low, drawn))
            case Float(low=low, high=high):
                return float(rng.uniform(low, high))
        raise TypeError(f"cannot draw from {dimension!r}")

    return space.sample(pick)


def unit_value(dimension: Dimension, value: Any) -> float:
    """Return a value's place in its range, 0 to 1, on a log axis where the range is one.

    A choice of numbers is an even scale. For a choice of words this is only its position.
    """
    match dimension:
        case Choice(choices=choices):
            return choices.index(value) / max(1, len(choices) - 1)
        case Float(low=low, high=high, log=True) | Integer(low=low, high=high, log=True):
            return math.log(value / low) / math.log(high / low)
        case Float(low=low, high=high) | Integer(low=low, high=high):
            return (value - low) / max(high - low, 1e-12)
    raise TypeError(f"no place for {dimension!r}")


def is_of_words(dimension: Dimension) -> bool:
    """Return whether the dimension is a choice of words, which have no order."""
    return isinstance(dimension, Choice) and any(isinstance(c, str) for c in dimension.choices)


class NearestConfigs:
    """The configs of a bank by their place in its space; each is handed out once.

    The nearest config not yet used is the one with the least sum over the dimensions of the
    squared difference of `unit_value`. Different words count 1; a dimension that one of the two
    does not have counts nothing.

    Args:
        space: The bank's space.
        params: The params of each config, (N,).
    """

    def __init__(self, space: Space, params: list[dict[str, Any]]) -> None:
        self._space = space
        self._place_ND = np.array([self._place(each) for each in params])
        self._is_words = np.array([is_of_words(each) for each in space.dimensions])
        self._is_free = np.ones(len(params), bool)

    def renew(self) -> None:
        """Make all configs free again."""
        self._is_free[:] = True

    def take(self, params: Mapping[str, Any]) -> int | None:
        """Return the nearest free config's number and mark it as used, None if none is free."""
        nearest = self.nearest(params)
        if nearest is not None:
            self._is_free[nearest] = False
        return nearest

    def nearest(self, params: Mapping[str, Any]) -> int | None:
        """Return the number that `take` would, without marking it."""
        if not self._is_free.any():
            return None
        off_ND = self._place_ND - self._place(params)
        words = off_ND[:, self._is_words]
        off_ND[:, self._is_words] = np.where(np.isnan(words), np.nan, words != 0)
        distance = np.nansum(off_ND**2, axis=1)
        distance[~self._is_free] = np.inf
        return int(np.argmin(distance))

    def _place(self, params: Mapping[str, Any]) -> Floats:
        return np.array(
            [
                unit_value(each, params[each.name]) if each.name in params else np.nan
                for each in self._space.dimensions
            ]
        )
