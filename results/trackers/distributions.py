"""A space's dimensions as Optuna distributions; both have closed bounds."""

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from spaces.dimensions import Choice, Dimension, Float, Integer


def to_distribution(dimension: Dimension) -> BaseDistribution:
    """Return the distribution with the same values as the dimension."""
    match dimension:
        case Float(low=low, high=high, log=log, step=step):
            return FloatDistribution(low, high, log=log, step=step)
        case Integer(low=low, high=high, log=log, step=step):
            return IntDistribution(low, high, log=log, step=step)
        case Choice(choices=choices):
            return CategoricalDistribution(choices)
