"""The model of the guided sampler: a tree-structured Parzen estimator (TPE) over all branches.

Source: Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011. It differs from
Optuna's in three things. All parameters of all branches are in one mixture, so it also learns
which value of a conditional parameter suits which branch (Optuna's `group` draws each set of
conditional parameters by itself). The width of the kernels follows from their number, not from
the distance to their neighbours. And trials of earlier runs can be in it, at a discount.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.guided.kernels import Kernels
from search.guided.outcomes import Outcomes
from search.guided.unit_space import Points, UnitSpace
from spaces.conditions import Params

# As in Optuna: a tenth of the trials counts as good, at most 25; the candidates of one draw; the
# trials of full weight among the others, before which the weights fall.
GOOD_SHARE, MOST_GOOD = 0.1, 25
NUM_CANDIDATES = 24
NUM_RECENT = 25
# Standard deviation of a single kernel, of a range's length, and the least of any number of them.
# Chosen on recorded learning curves, together with the constants of `guided`.
WIDTH, LEAST_WIDTH = 0.25, 0.03
# Weight of an earlier run's trial in place of an own one's 1, and of all good ones together. Own
# good trials outweigh them once there are more than that.
EARLIER_WEIGHT, MOST_EARLIER_WEIGHT = 0.25, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierPoints:
    """The trials of earlier runs as points.

    Attributes:
        good: Those of the best third of each run, (N, D).
        others: The rest, (M, D).
    """

    good: Points
    others: Points


def draw_from_model(
    space: UnitSpace, outcomes: Outcomes, earlier: EarlierPoints, rng: np.random.Generator
) -> Params:
    """Draw candidates where good trials are dense, and return the best of them.

    The best one has the highest density of good trials over that of the others.
    """
    good, others = model(space, outcomes, earlier)
    candidates = good.draw(rng, NUM_CANDIDATES)
    points = np.array([space.point(each) for each in candidates])
    return candidates[int(np.argmax(good.log_density(points) - others.log_density(points)))]


def model(
    space: UnitSpace, outcomes: Outcomes, earlier: EarlierPoints
) -> tuple[Kernels, Kernels]:
    """Return the mixtures of the good trials and of the others.

    Trials that run are among the others, so that the next one is not drawn next to them.
    """
    num_good = min(math.ceil(GOOD_SHARE * len(outcomes.ended)), MOST_GOOD)
    bad = outcomes.ended[num_good:]
    of_running = len(outcomes.age) + np.arange(len(outcomes.running))
    age = np.concatenate([outcomes.age[num_good:], of_running])
    share = min(EARLIER_WEIGHT, MOST_EARLIER_WEIGHT / max(len(earlier.good), 1))
    # Scott's rule, kernels counted by their weights. One width for both mixtures: with narrower
    # kernels in the larger one, the ratio would be highest beside the good trials.
    counted = max(num_good + share * len(earlier.good), 1.0)
    width = max(WIDTH * counted ** (-1 / (space.num_numbers + 4)), LEAST_WIDTH)
    good = _mixture(
        space,
        [outcomes.ended[:num_good], earlier.good],
        [np.ones(num_good), np.full(len(earlier.good), share)],
        width,
    )
    others = _mixture(
        space,
        [bad, outcomes.running, earlier.others],
        [_recent_first(age), np.full(len(earlier.others), share)],
        width,
    )
    return good, others


def _recent_first(age: Points) -> Points:
    """Return the weights of trials: 1 for the newest ones, less the older the others are."""
    place = np.argsort(np.argsort(age))
    num_older = len(age) - NUM_RECENT
    if num_older <= 0:
        return np.ones(len(age))
    ramp = np.linspace(1 / len(age), 1, num_older)
    return np.concatenate([ramp, np.ones(NUM_RECENT)])[place]


def _mixture(
    space: UnitSpace, points: Sequence[Points], weights: Sequence[Points], width: float
) -> Kernels:
    """Return a kernel around each point and one of weight 1 over the whole space."""
    centres = np.concatenate([*points, space.everywhere])
    weight = np.concatenate([*weights, [1.0]])
    most = max(int(space.num_choices.max(initial=1)), 1)
    return Kernels(
        space=space,
        centres=centres,
        widths=np.full(centres.shape, width),
        keep=np.full(len(centres), 1 / (1 + most / len(centres))),
        weights=weight,
    )
