"""Stage weights as dimensions: one-to-one, uniform, and recovered from a config."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spaces.dimensions import Float
from spaces.files.errors import ConfigError
from spaces.stage_weights import (
    SMALLEST_REST,
    FreeWeights,
    RampWeights,
    StageWeightsRange,
    are_weights,
    normalise_weights,
    stretch_weights,
)
from trainable.config.trial_config import LossConfig, TrialConfig
from trainable.loss.stages import interpolated_weights

NOTES = [0.5, 0.5, 1.0, 1.0, 1.5, 1.5, 2.0]


def ramp(**spec: object) -> RampWeights:
    built = StageWeightsRange.model_validate({"name": "w", "ramp": spec}).build()
    assert isinstance(built, RampWeights)
    return built


def free(num_weights: int) -> FreeWeights:
    built = StageWeightsRange.model_validate({"name": "w", "free": num_weights}).build()
    assert isinstance(built, FreeWeights)
    return built


def drawn(made: RampWeights | FreeWeights, rng: random.Random) -> dict[str, float]:
    """Draw each part uniformly, or now and then at a bound."""
    return {
        part.name: rng.choice([part.low, part.high, *[rng.uniform(part.low, part.high)] * 4])
        for part in made.parts
    }


def test_a_ramp_is_one_number_on_a_log_scale_the_first_weight_over_the_last() -> None:
    made = ramp(low=0.1, high=4)
    assert made.parts == (Float(name="w.ratio", low=0.1, high=4, log=True),)
    assert made.weights({"w.ratio": 0.25}) == [0.2, 0.8]
    assert made.weights({"w.ratio": 3.0}) == [0.75, 0.25]
    assert made.numbers([0.5, 2.0]) == {"w.ratio": 0.25}
    assert ramp(low=0, high=2, log=False).weights({"w.ratio": 0}) == [0.0, 1.0]


def test_the_notes_weights_are_a_ramp_of_a_quarter() -> None:
    assert ramp(low=0.1, high=4).numbers(NOTES) == pytest.approx({"w.ratio": 0.25})


def test_free_weights_are_hand_worked_shares_of_a_stick() -> None:
    made = free(3)
    assert [part.name for part in made.parts] == ["w.u1", "w.u2"]
    # 1-(1-3/4)^(1/2) = 1/2 of the stick, then half of what is left.
    assert made.weights({"w.u1": 0.75, "w.u2": 0.5}) == [0.5, 0.25, 0.25]
    assert made.numbers([2, 1, 1]) == pytest.approx({"w.u1": 0.75, "w.u2": 0.5})


def test_free_weights_are_even_on_the_simplex() -> None:
    made, rng = free(7), random.Random(0)
    ours = np.array(
        [
            made.weights({part.name: rng.uniform(part.low, part.high) for part in made.parts})
            for _ in range(4_000)
        ]
    )
    theirs = np.random.default_rng(0).dirichlet(np.ones(7), size=4_000)
    assert ours.sum(axis=1) == pytest.approx(1)
    # Every weight has the Beta(1, 6) of a flat Dirichlet, the last as the first.
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    expected = np.quantile(theirs.ravel(), quantiles)
    for weight in ours.T:
        assert np.quantile(weight, quantiles) == pytest.approx(expected, rel=0.08, abs=2e-3)
    assert np.corrcoef(ours.T) == pytest.approx(np.corrcoef(theirs.T), abs=0.06)


@pytest.mark.parametrize("num_weights", [2, 3, 7, 16])
@given(rng=st.randoms(use_true_random=False))
def test_free_weights_give_their_numbers_back(num_weights: int, rng: random.Random) -> None:
    made = free(num_weights)
    numbers = drawn(made, rng)
    weights = made.weights(numbers)
    back = made.numbers(weights)
    assert back == pytest.approx(numbers, abs=1e-6)
    assert all(part.contains(back[part.name]) for part in made.parts)
    assert made.weights(back) == weights
    assert normalise_weights(weights) == weights


@pytest.mark.parametrize("bounds", [(0.1, 4), (0.001, 1000), (0.25, 0.25), (1 / 3, 3)])
@given(rng=st.randoms(use_true_random=False))
def test_a_ramp_gives_its_ratio_back(bounds: tuple[float, float], rng: random.Random) -> None:
    made = ramp(low=bounds[0], high=bounds[1])
    numbers = drawn(made, rng)
    weights = made.weights(numbers)
    back = made.numbers(weights)
    assert back == pytest.approx(numbers, rel=1e-6)
    assert made.ratio.contains(back["w.ratio"])
    assert made.weights(back) == weights
    assert normalise_weights(weights) == weights


def test_the_upper_bound_leaves_something_to_the_last_two_weights() -> None:
    made = free(7)
    weights = made.weights({part.name: part.high for part in made.parts[:-1]} | {"w.u6": 0.0})
    assert weights[-1] + weights[-2] == pytest.approx(SMALLEST_REST, rel=0.01)
    # What is cut off the simplex: the part of the unit cube above the bound.
    assert 1 - made.parts[0].high ** 6 < 0.0025


def test_weights_outside_a_ramp_stay_outside() -> None:
    made = ramp(low=0.1, high=4)
    assert made.numbers([9, 1]) == {"w.ratio": 9.0}
    assert made.numbers([1, 0]) == {"w.ratio": float("inf")}


@pytest.mark.parametrize("num_weights", [1, 2, 5, 7, 12])
def test_weights_are_stretched_as_the_training_stretches_them(num_weights: int) -> None:
    expected = interpolated_weights(NOTES, num_weights)
    ours = stretch_weights(NOTES, num_weights)
    if num_weights > 1:
        assert normalise_weights(ours) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"ramp": {"low": 4, "high": 1}}, "got low=4.0, high=1.0"),
        ({"ramp": {"low": 0, "high": 1}}, r"must lie above 0, got low=0.0; or set log: false"),
        ({"ramp": {"low": 1e-4, "high": 1}}, r"in 0.001..1000, or be 0, got low=0.0001"),
        ({"ramp": {"low": 1, "high": 1001}}, "high=1001.0"),
        ({"free": 1}, "greater than or equal to 2"),
        ({"free": 17}, "less than or equal to 16"),
        ({"free": 2, "ramp": {"low": 1, "high": 2}}, "either ramp"),
        ({}, "either ramp"),
    ],
)
def test_a_wrong_form_is_refused(spec: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        StageWeightsRange.model_validate({"name": "w", **spec})


@pytest.mark.parametrize(
    ("value", "is_list"),
    [([1, 2], True), ((0.0, 1), True), ([0, 0], False), ([1, -1], False), ("12", False)],
)
def test_what_weights_are(value: object, is_list: bool) -> None:
    assert are_weights(value) is is_list


SPACE = """
loss:
  stages: cosine
  distillation: {choices: [none, cosine]}
  stage_weights: {%s}
"""


@pytest.mark.parametrize("form", ["ramp: {low: 0.1, high: 4}", "free: 7"])
def test_values_survive_the_way_through_a_config_and_back(form: str, read_trials) -> None:
    space, rng = read_trials(SPACE % form), random.Random(0)

    def pick(dimension) -> object:
        if isinstance(dimension, Float):
            return rng.choice([*dimension.extremes(), rng.uniform(*dimension.extremes())])
        return rng.choice(dimension.choices)

    num_weighted = 0
    for _ in range(200):
        params = space.sample(pick)
        tree = space.tree(params)
        config = TrialConfig.model_validate(tree)
        for dump in (tree, config.model_dump(mode="json"), config.canonical()):
            back = space.params_of(dump)
            assert back == pytest.approx(params, abs=1e-6) or "none" in params.values()
            assert list(back) == list(params)
            assert space.tree(back) == tree
        has_weights = params["loss.distillation"] == "cosine"
        num_weighted += has_weights
        assert ("stage_weights" in tree["loss"]) is has_weights
        if has_weights:
            # The canonical form is the sampled list itself.
            assert config.canonical()["loss"]["stage_weights"] == tree["loss"]["stage_weights"]
    assert 50 < num_weighted < 150


def test_weights_of_another_depth_are_stretched_into_free_ones(read_trials) -> None:
    space = read_trials(SPACE % "free: 3")
    loss = {"distillation": "cosine", "stages": "cosine", "stage_weights": [1, 3]}
    assert space.tree(space.params_of({"loss": loss}))["loss"]["stage_weights"] == pytest.approx(
        [1 / 6, 2 / 6, 3 / 6]
    )


def test_weights_outside_the_space_are_refused(read_trials) -> None:
    space = read_trials(SPACE % "ramp: {low: 0.1, high: 0.2}")
    loss = LossConfig(stages="cosine").model_dump()
    with pytest.raises(ValueError, match=r"loss.stage_weights.ratio is 0.25, not in 0.1..0.2"):
        space.params_of({"loss": loss})


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("ramp: {low: 4, high: 1}", "stage_weights.ramp: low <= high must hold, got low=4.0"),
        ("ramps: {low: 4, high: 1}", "stage_weights.ramps: unknown key; did you mean 'ramp'?"),
        ("free: seven", "stage_weights.free: must be a valid integer, got 'seven'"),
        ("low: 1, high: 2", "stage_weights: takes a list of numbers: give ramp:"),
        ("free: 7, when: {loss.distilation: cosine}", "did you mean 'loss.distillation'?"),
    ],
)
def test_a_mistake_is_named_with_its_line(form: str, expected: str, read_trials) -> None:
    with pytest.raises(ConfigError) as caught:
        read_trials(SPACE % form)
    assert "a.yaml:5: loss." in str(caught.value)
    assert expected in str(caught.value)


def test_a_number_takes_no_stage_weights(read_trials) -> None:
    with pytest.raises(ConfigError, match=r"a.yaml:1: loss.alpha: takes no ramp and no free"):
        read_trials("loss: {alpha: {free: 7}}")
