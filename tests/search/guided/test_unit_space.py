"""Parameters as points, and back."""

import math

import numpy as np
import pytest

from search.guided.unit_space import UnitSpace, unit_of, value_at
from spaces.dimensions import Choice, Float, Integer
from spaces.space import Space

RANGES = [
    Float(name="x", low=-2.0, high=6.0),
    Float(name="x", low=1e-4, high=1e-2, log=True),
    Float(name="x", low=0.1, high=0.7, step=0.1),
    Float(name="x", low=3.0, high=3.0),
    Integer(name="x", low=2, high=8),
    Integer(name="x", low=8, high=256, step=8),
    Integer(name="x", low=1, high=64, log=True),
    Integer(name="x", low=5, high=5),
]


@pytest.mark.parametrize("dimension", RANGES, ids=repr)
class TestRange:
    def test_every_coordinate_has_a_value_of_the_dimension(self, dimension):
        for coordinate in np.linspace(0, 1, 301):
            assert dimension.contains(value_at(dimension, coordinate))

    def test_a_value_comes_back_from_its_coordinate(self, dimension):
        values = (
            [value_at(dimension, c) for c in np.linspace(0, 1, 37)]
            if dimension.num_points() is None
            else list(dimension.points())
        )
        for value in [*values, *dimension.extremes()]:
            coordinate = unit_of(dimension, value)
            assert 0 <= coordinate <= 1
            assert value_at(dimension, coordinate) == pytest.approx(value, rel=1e-12)

    def test_the_ends_are_within_reach(self, dimension):
        assert value_at(dimension, 0.0) == pytest.approx(dimension.low, rel=1e-12)
        assert value_at(dimension, 1.0) == pytest.approx(dimension.high, rel=1e-12)


def test_values_with_a_step_have_cells_of_one_size():
    dimension = Integer(name="n", low=2, high=8, step=2)
    drawn = [value_at(dimension, (i + 0.5) / 1000) for i in range(1000)]
    assert [drawn.count(value) for value in (2, 4, 6, 8)] == [250] * 4
    assert [unit_of(dimension, value) for value in (2, 4, 6, 8)] == [0.125, 0.375, 0.625, 0.875]


def test_a_log_range_is_even_in_its_logarithm():
    dimension = Float(name="lr", low=1e-4, high=1e-2, log=True)
    assert unit_of(dimension, 1e-3) == pytest.approx(0.5)
    assert value_at(dimension, 0.25) == pytest.approx(10**-3.5)


def test_true_is_not_the_choice_1():
    dimension = Choice(name="c", choices=(1, True, "a", None))
    assert [unit_of(dimension, value) for value in (1, True, "a", None)] == [0, 1, 2, 3]
    assert value_at(dimension, 1.0) is True


def test_what_is_not_active_is_nan_and_is_not_asked_for():
    space = Space(
        name="s",
        fixed={},
        dimensions=(
            Choice(name="kind", choices=("a", "b")),
            Float(name="depth", low=0.0, high=10.0, when={"kind": "b"}),
            Integer(name="n", low=1, high=2),
        ),
    )
    unit = UnitSpace(space)
    point = unit.point({"kind": "a", "n": 2})
    assert point[[0, 2]].tolist() == [0.0, 0.75]
    assert math.isnan(point[1])
    asked = []

    def coordinate(place):
        asked.append(place)
        return point[place]

    assert unit.params(coordinate) == {"kind": "a", "n": 2}
    assert asked == [0, 2]
    assert unit.points([]).shape == (0, 3)
