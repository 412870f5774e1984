"""Parameters as points of the unit cube: a number from 0 to 1 for each active dimension.

A range is even on its own scale, so a log range is even in its logarithm. A range with N values is
N cells of equal size (a log range of integers: cells from half below to half above), and a point
is the centre of its cell. A choice is its position in the list. A dimension that is not active is
NaN. D is the number of dimensions, in the order of the space.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spaces.conditions import Params
from spaces.dimensions import Choice, Dimension, Float, Integer, Value, equal_values
from spaces.space import Space

Points = NDArray[np.float64]


class UnitSpace:
    """Turns parameters of a space into points, and points into parameters.

    Args:
        space: The space.

    Attributes:
        num_choices: Choices of each dimension, 0 of a number; (D,).
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._place = {each.name: place for place, each in enumerate(space.dimensions)}
        self.num_choices = np.array(
            [len(each.choices) if isinstance(each, Choice) else 0 for each in space.dimensions],
            dtype=int,
        )

    @property
    def num_numbers(self) -> int:
        """Number of the dimensions that are ranges."""
        return int((self.num_choices == 0).sum())

    @property
    def everywhere(self) -> Points:
        """The centre of the uniform distribution, a row of NaN, (1, D)."""
        return np.full((1, len(self.num_choices)), np.nan)

    def point(self, params: Mapping[str, Value]) -> Points:
        """Return the point of these parameters, (D,)."""
        found = np.full(len(self._place), np.nan)
        for place, each in enumerate(self._space.dimensions):
            if each.name in params:
                found[place] = unit_of(each, params[each.name])
        return found

    def points(self, params: Sequence[Mapping[str, Value]]) -> Points:
        """Return the points of several sets of parameters, (N, D); N may be 0."""
        found = [self.point(each) for each in params]
        return np.array(found).reshape(len(found), len(self._place))

    def params(self, coordinate: Callable[[int], float]) -> Params:
        """Return the parameters of a point; inactive dimensions are not asked for.

        Args:
            coordinate: Returns the coordinate of a dimension, given its place.
        """
        return self._space.sample(lambda each: value_at(each, coordinate(self._place[each.name])))


def unit_of(dimension: Dimension, value: Value) -> float:
    """Return the coordinate of a value of the dimension."""
    if isinstance(dimension, Choice):
        places = range(len(dimension.choices))
        return float(next(i for i in places if equal_values(dimension.choices[i], value)))
    assert isinstance(value, int | float)  # noqa: S101 - a value of a range
    low, high = _ends(dimension)
    if low == high:
        return 0.5
    return (_scaled(dimension, value) - low) / (high - low)


def value_at(dimension: Dimension, coordinate: float) -> Value:
    """Return the value at a coordinate from 0 to 1, or at the position of a choice."""
    if isinstance(dimension, Choice):
        return dimension.choices[int(coordinate)]
    low, high = _ends(dimension)
    at = low + (high - low) * min(max(coordinate, 0.0), 1.0)
    at = math.exp(at) if dimension.log else at
    inside = min(max(at, dimension.low), dimension.high)
    if dimension.step is None:
        return float(inside)
    last = (dimension.num_points() or 1) - 1
    # The floor and not the nearest: the upper end of a cell is the lower end of the next one.
    steps = min(math.floor((inside - dimension.low) / dimension.step + 0.5), last)
    if isinstance(dimension, Integer):
        return dimension.low + steps * dimension.step
    # Without the rounding noise of low + steps * step.
    return round(dimension.low + steps * dimension.step, 12)


def _ends(dimension: Float | Integer) -> tuple[float, float]:
    """Return the ends of the range on its scale, half a step beyond its bounds."""
    half = (dimension.step or 0) / 2
    low, high = dimension.low - half, dimension.high + half
    return _scaled(dimension, low), _scaled(dimension, high)


def _scaled(dimension: Float | Integer, value: float) -> float:
    return math.log(value) if dimension.log else float(value)
