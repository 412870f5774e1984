"""Parameters as features of a regression: the unit cube of the guided sampler, words one by one.

A range and a choice of numbers are one feature from 0 to 1, a choice of words is one feature for
each word. A dimension without an effect has the middle of its range, and no word.
Shapes: N configs, D features.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from search.guided.unit_space import UnitSpace
from search.students.recorded_curve import Floats
from spaces.dimensions import Choice, Dimension, Value
from spaces.space import Space

MIDDLE = 0.5
# Two different words are then as far apart as the ends of a range.
WORD = 2**-0.5


class ConfigPoints:
    """Turns parameters into features.

    Args:
        space: The space.
    """

    def __init__(self, space: Space) -> None:
        self._unit = UnitSpace(space)
        self._dimensions = space.dimensions

    def features(self, params: Sequence[Mapping[str, Value]]) -> Floats:
        """Return the features of several configs, (N, D)."""
        points = self._unit.points(params)
        columns = [
            column
            for place, each in enumerate(self._dimensions)
            for column in _columns(each, points[:, place])
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(points), 0))


def _columns(dimension: Dimension, at: Floats) -> list[Floats]:
    if not isinstance(dimension, Choice):
        return [np.where(np.isnan(at), MIDDLE, at)]
    numbers = [_number(each) for each in dimension.choices]
    if None not in numbers:
        ordered = np.array([each for each in numbers if each is not None])
        span = np.ptp(ordered) or 1.0
        known = ((ordered - ordered.min()) / span)[np.where(np.isnan(at), 0, at).astype(int)]
        return [np.where(np.isnan(at), MIDDLE, known)]
    return [WORD * (at == place).astype(float) for place in range(len(dimension.choices))]


def _number(value: Value) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]
