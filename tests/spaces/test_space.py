import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces.conditions import order_by_conditions
from spaces.dimensions import Choice, Dimension, Float, Integer, Value
from spaces.space import Space

KIND = Choice(name="loss.kind", choices=("none", "mse", "kl"))
ALPHA = Float(name="loss.alpha", low=0.1, high=0.95, when={"loss.kind": ["mse", "kl"]})  # type: ignore[arg-type]
DECOUPLED = Choice(name="loss.decoupled", choices=(True, False), when={"loss.kind": "kl"})  # type: ignore[arg-type]
WEIGHT = Float(name="loss.weight", low=0.5, high=4, step=0.5, when={"loss.decoupled": True})  # type: ignore[arg-type]
DEPTH = Integer(name="model.num_blocks", low=2, high=8, step=2)
RATE = Float(name="lr", low=1e-4, high=1e-2, log=True)

FIXED = {"model": {"family": "mixer", "stages": [1, 2]}, "seed": 3}


def space(*dimensions: Dimension) -> Space:
    chosen = dimensions or (KIND, ALPHA, DECOUPLED, WEIGHT, DEPTH, RATE)
    return Space(name="test", fixed=FIXED, dimensions=chosen)


def drawing(rng: random.Random) -> Callable[[Dimension], Value]:
    def pick(dimension: Dimension) -> Value:
        if isinstance(dimension, Choice):
            return rng.choice(dimension.choices)
        if isinstance(dimension, Integer):
            return rng.choice(range(dimension.low, dimension.high + 1, dimension.step))
        if rng.random() < 0.3:
            return rng.choice(dimension.extremes())
        if dimension.step:
            steps = round((dimension.high - dimension.low) / dimension.step)
            return dimension.low + rng.randint(0, steps) * dimension.step
        return rng.uniform(dimension.low, dimension.high)

    return pick


def choosing(**values: Value) -> Callable[[Dimension], Value]:
    short = {name.replace("__", "."): value for name, value in values.items()}
    return lambda dimension: short.get(dimension.name, dimension.extremes()[0])


@pytest.mark.parametrize(
    ("kind", "decoupled", "active"),
    [
        ("none", None, []),
        ("mse", None, ["loss.alpha"]),
        ("kl", False, ["loss.alpha", "loss.decoupled"]),
        ("kl", True, ["loss.alpha", "loss.decoupled", "loss.weight"]),
    ],
)
def test_only_dimensions_whose_whole_chain_of_conditions_holds_are_sampled(
    kind: str, decoupled: bool | None, active: list[str]
) -> None:
    params = space().sample(choosing(loss__kind=kind, loss__decoupled=decoupled))
    assert list(params) == ["loss.kind", *active, "model.num_blocks", "lr"]


@pytest.mark.parametrize(("family", "active"), [("mixer", True), ("lstm", False)])
def test_a_condition_may_be_on_a_fixed_value(family: str, active: bool) -> None:
    groups = Choice(name="model.groups", choices=(2, 4), when={"model.family": family})  # type: ignore[arg-type]
    assert ("model.groups" in space(groups).sample(choosing())) is active


def test_a_value_outside_its_dimension_is_refused_when_sampled() -> None:
    with pytest.raises(ValueError, match=r"model.num_blocks is 3, not in 2\.\.8 in steps of 2"):
        space().sample(choosing(model__num_blocks=3))


def test_the_tree_holds_fixed_and_sampled_values_and_is_the_callers_own() -> None:
    varied = space()
    params = varied.sample(choosing(loss__kind="mse"))
    tree = varied.tree(params)
    assert tree == {
        "model": {"family": "mixer", "stages": [1, 2], "num_blocks": 2},
        "seed": 3,
        "loss": {"kind": "mse", "alpha": 0.1},
        "lr": 1e-4,
    }
    tree["model"]["stages"].append(9)
    assert varied.tree(params)["model"]["stages"] == [1, 2]


@given(st.randoms(use_true_random=False))
def test_values_survive_the_way_through_the_tree_and_back(rng: random.Random) -> None:
    varied = space()
    params = varied.sample(drawing(rng))
    assert varied.contains(params)
    back = varied.params_of(varied.tree(params))
    assert back == params
    assert list(back) == list(params)


def test_both_bounds_survive_the_way_through_the_tree_and_back() -> None:
    for end in (0, -1):
        params = space().sample(lambda dimension, end=end: dimension.extremes()[end])  # type: ignore[misc]
        assert space().params_of(space().tree(params)) == params


def test_a_full_config_gives_only_the_active_parameters() -> None:
    full: dict[str, Any] = {
        "model": {"family": "mixer", "stages": (1, 2), "num_blocks": 4, "width": 9},
        "loss": {"kind": "none", "alpha": 7.0, "decoupled": None, "weight": 99},
        "seed": 3,
        "lr": 0.001,
        "extra": {},
    }
    expected = {"loss.kind": "none", "model.num_blocks": 4, "lr": 0.001}
    assert space().params_of(full) == expected


def test_a_tree_outside_the_space_is_refused_with_every_reason() -> None:
    tree = {"model": {"family": "lstm", "num_blocks": 5}, "loss": {"kind": "mse"}, "lr": 1}
    with pytest.raises(ValueError, match=r"^not in space test: ") as caught:
        space().params_of(tree)
    assert str(caught.value).split(": ", 1)[1].split("; ") == [
        "model.family is 'lstm', fixed at 'mixer'",
        "loss.alpha is missing",
        "model.num_blocks is 5, not in 2..8 in steps of 2",
        "lr is 1, not in 0.0001..0.01",
    ]


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"loss.kind": "none", "model.num_blocks": 2}, "lr is missing"),
        (
            {"loss.kind": "none", "model.num_blocks": 2, "lr": 0.01, "loss.alpha": 0.5},
            "loss.alpha has no effect, its condition does not hold",
        ),
        (
            {"loss.kind": "none", "model.num_blocks": 2, "lr": 0.01, "loss.alhpa": 0.5},
            "loss.alhpa is no parameter; did you mean 'loss.alpha'?",
        ),
        (
            {"loss.kind": "kd", "model.num_blocks": 2, "lr": 0.01},
            "loss.kind is 'kd', not in ['none', 'mse', 'kl']",
        ),
    ],
)
def test_parameters_that_are_not_exactly_the_active_ones_are_not_contained(
    params: dict[str, Value], reason: str
) -> None:
    assert not space().contains(params)
    with pytest.raises(ValueError, match="not in space test") as caught:
        space().tree(params)
    assert reason in str(caught.value)


def test_a_space_out_of_order_cannot_be_built() -> None:
    with pytest.raises(ValueError, match=r"loss.alpha must be on an earlier .* got 'loss.kind'"):
        space(ALPHA, KIND)


@pytest.mark.parametrize("again", [KIND, Choice(name="seed", choices=(1,))])
def test_a_name_that_stands_twice_is_refused(again: Choice) -> None:
    with pytest.raises(ValueError, match=f"{again.name} is given twice"):
        space(KIND, again)


def test_dimensions_are_ordered_by_condition_else_as_written() -> None:
    mixed = [WEIGHT, RATE, ALPHA, DECOUPLED, KIND, DEPTH]
    assert order_by_conditions(mixed) == (RATE, KIND, ALPHA, DECOUPLED, WEIGHT, DEPTH)


def test_conditions_in_a_circle_are_refused() -> None:
    one = Choice(name="a", choices=(1,), when={"b": 1})  # type: ignore[arg-type]
    other = Choice(name="b", choices=(1,), when={"a": 1})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="depend on each other in a circle: a, b"):
        order_by_conditions([RATE, one, other])
