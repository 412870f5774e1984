"""Dimensions as Optuna distributions."""

import optuna
import pytest

from results.trackers.distributions import to_distribution
from spaces.dimensions import Choice, Dimension, Float, Integer


@pytest.mark.parametrize(
    "dimension",
    [
        Float(name="x", low=-1, high=2.5),
        Float(name="x", low=1e-4, high=1e-1, log=True),
        Float(name="x", low=0, high=1, step=0.25),
        Integer(name="x", low=3, high=5),
        Integer(name="x", low=2, high=8, step=3),
        Integer(name="x", low=1, high=64, log=True),
        Choice(name="x", choices=("a", 2, 2.5, False, None)),
    ],
)
def test_optuna_draws_only_what_the_dimension_contains_bounds_included(
    dimension: Dimension,
) -> None:
    distribution = to_distribution(dimension)
    for value in dimension.extremes():
        assert distribution._contains(distribution.to_internal_repr(value))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(50):
        value = study.ask({"x": distribution}).params["x"]
        assert dimension.contains(value), value


@pytest.mark.parametrize("outside", [2, 6])
def test_both_integer_bounds_are_closed(outside: int) -> None:
    distribution = to_distribution(Integer(name="x", low=3, high=5))
    assert not distribution._contains(distribution.to_internal_repr(outside))
