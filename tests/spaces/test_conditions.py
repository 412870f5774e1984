"""Counting and walking spaces with conditions, against plain enumeration."""

import random
from itertools import product

import pytest

from spaces.conditions import activating_params, num_points, representatives
from spaces.dimensions import Choice, Condition, Dimension, Float, Integer, is_active
from spaces.space import Space


def space(*dimensions: Dimension, fixed: dict | None = None) -> Space:
    return Space(name="test", fixed=fixed or {}, dimensions=dimensions)


def unless(name: str, *values: object, otherwise: bool = False) -> Condition:
    return Condition(parameter=name, excluded=values, otherwise=otherwise)


KIND = Choice(name="kind", choices=("none", "mse", "kl"))
ALPHA = Choice(name="alpha", choices=(0, 0.3), when=(unless("kind", "none"),))
HEAT = Integer(name="heat", low=1, high=3, when={"kind": "mse", "alpha": {"not": 0}})  # type: ignore[arg-type]
STEP = Float(name="step", low=0.1, high=0.4, step=0.1, when={"heat": [2, 3]})  # type: ignore[arg-type]


def test_a_chain_of_three_conditions_gives_each_point_once_the_first_dimension_slowest() -> None:
    varied = space(KIND, ALPHA, HEAT, STEP)
    points = list(varied.grid_points())
    steps = (0.1, 0.2, 0.3, 0.4)
    assert points == [
        {"kind": "none"},
        {"kind": "mse", "alpha": 0},
        {"kind": "mse", "alpha": 0.3, "heat": 1},
        *({"kind": "mse", "alpha": 0.3, "heat": 2, "step": step} for step in steps),
        *({"kind": "mse", "alpha": 0.3, "heat": 3, "step": step} for step in steps),
        {"kind": "kl", "alpha": 0},
        {"kind": "kl", "alpha": 0.3},
    ]
    assert varied.num_points() == len(points)
    assert all(varied.contains(point) for point in points)


def test_a_continuous_dimension_has_no_grid() -> None:
    varied = space(KIND, Float(name="lr", low=1, high=2))
    with pytest.raises(ValueError, match=r"lr is continuous, from 1.0 to 2.0: give it a step"):
        varied.grid_points()
    assert varied.num_points() is None
    assert space(KIND, Float(name="lr", low=2, high=2)).num_points() == 3


def test_many_points_are_counted_without_being_walked() -> None:
    wide = [Integer(name=f"n{i}", low=1, high=10**9) for i in range(4)]
    rest = Integer(name="rest", low=1, high=5, when=(unless("n0", 7),))
    assert space(*wide, rest).num_points() == 10**27 * ((10**9 - 1) * 5 + 1)


def random_dimensions(rng: random.Random) -> list[Dimension]:
    found: list[Dimension] = []
    for number in range(5):
        when = []
        for other in rng.sample(found, k=min(len(found), rng.randint(0, 2))):
            values = tuple(rng.sample(list(other.points()), k=1))
            form = rng.choice(["values", "excluded"])
            when.append(
                Condition(
                    parameter=other.name, otherwise=rng.random() < 0.3, **{form: values}
                )
            )
        if rng.random() < 0.5:
            made: Dimension = Integer(name=f"d{number}", low=0, high=rng.randint(0, 3))
        else:
            made = Choice(name=f"d{number}", choices=("a", "b", "c")[: rng.randint(1, 3)])
        found.append(made.model_copy(update={"when": tuple(when)}))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_counts_grid_and_reach_agree_with_plain_enumeration(seed: int) -> None:
    dimensions = random_dimensions(random.Random(seed))
    plain = set()
    for values in product(*(list(each.points()) for each in dimensions)):
        params: dict[str, object] = {}
        for each, value in zip(dimensions, values, strict=True):
            if is_active(each.when, params):
                params[each.name] = value
        plain.add(tuple(params.items()))
    points = [tuple(point.items()) for point in space(*dimensions).grid_points()]
    assert len(points) == len(set(points))
    assert set(points) == plain
    assert num_points(dimensions, {}) == len(plain)
    for each in dimensions:
        reached = any(each.name in dict(point) for point in plain)
        found = activating_params(each, dimensions, {})
        assert (found is not None) is reached
        if found is not None:
            assert is_active(each.when, found)


def test_a_range_is_split_by_what_conditions_name() -> None:
    depth = Integer(name="d", low=1, high=9)
    on = [unless("d", 1, 2), Condition(parameter="d", values=(2, 3))]
    found = {
        tuple(each.allows(value) for each in on): number
        for value, number in representatives(depth, on)
    }
    assert found == {(False, False): 1, (False, True): 1, (True, True): 1, (True, False): 6}
    line = Float(name="d", low=0, high=1)
    assert [value for value, _ in representatives(line, [unless("d", 0)])] == [1.0, 0]


def test_a_condition_may_hold_where_its_parameter_is_not_active() -> None:
    condition = unless("alpha", 0, otherwise=True)
    assert is_active((condition,), {})
    assert not is_active((condition,), {"alpha": 0.0})


@pytest.mark.parametrize(
    ("fields", "message"),
    [({}, "must name values or excluded"), ({"values": (1,), "excluded": (2,)}, "must name")],
)
def test_a_condition_has_one_form(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Condition(parameter="a", **fields)
