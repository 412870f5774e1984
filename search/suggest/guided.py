"""The guided sampler: it starts from what is known, and learns.

A suggestion comes from one of three components: the model (`search.suggest.parzen`), a local move
around a config that is known or found to be good, or chance. Known are the starting points of the
search and the best trials of earlier runs: the prior. Found are the best trials so far. Which of
both the local moves start from follows from which of them explains the best third of the trials
(Mallik et al., PriorBand, arXiv 2306.12370), so a prior that misleads is soon left.
"""

from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial

from results.journal.record_values import DrawnBy
from search.suggest.kernels import Kernels
from search.suggest.outcomes import OutcomeReader, Outcomes
from search.suggest.parzen import EarlierPoints, draw_from_model
from search.suggest.prior import NO_PRIOR, Prior
from search.suggest.unit_space import Points, UnitSpace
from spaces.conditions import Params
from spaces.space import Space

# Trials that must have ended before the model draws, as in Optuna's TPE.
NUM_STARTUP = 10
# Shares of the components from then on; the model has the rest.
RANDOM_SHARE, LOCAL_SHARE = 0.1, 1 / 3
# Share of chance before, where there is a prior. Without one, all is chance.
STARTUP_RANDOM_SHARE = 1 / 3
# A local move: standard deviation in each range, of its length; probability of keeping a choice.
MOVE_WIDTH, KEEP_CHOICE = 0.15, 0.8
# Best trials so far around which moves are made.
NUM_CENTRES = 3
BEST_SHARE = 1 / 3


class Guided:
    """Draws parameters from the trials so far and from what was known before.

    Args:
        space: The space to draw from.
        prior: Starting points, and trials of earlier runs.
    """

    def __init__(self, space: Space, prior: Prior = NO_PRIOR) -> None:
        self._space = UnitSpace(space)
        self._reader = OutcomeReader(self._space)
        by_place = sorted(prior.earlier, key=lambda each: each.place)
        good = [each.params for each in by_place if each.place < BEST_SHARE]
        others = [each.params for each in by_place if each.place >= BEST_SHARE]
        self._known = self._space.points([*prior.first, *good[:NUM_CENTRES]])
        self._earlier = EarlierPoints(
            good=self._space.points(good), others=self._space.points(others)
        )

    def draw(
        self, trials: Sequence[FrozenTrial], rng: np.random.Generator
    ) -> tuple[Params, DrawnBy]:
        """Draw the next parameters.

        Args:
            trials: The study's trials, without the one to draw for.
            rng: The only source of chance.

        Returns:
            The parameters, and the component that drew them.
        """
        outcomes = self._reader.read(trials)
        component = self._component(outcomes, rng.random())
        if component == "tpe":
            return draw_from_model(self._space, outcomes, self._earlier, rng), component
        mixture = self._local_moves(outcomes) if component == "local" else self._everywhere()
        return mixture.draw(rng, 1)[0], component

    def _component(self, outcomes: Outcomes, even: float) -> DrawnBy:
        """Return the component that draws, given a number drawn evenly from 0 to 1."""
        if len(outcomes.ended) < NUM_STARTUP:
            return self._component_at_first(even)
        if even < RANDOM_SHARE:
            return "random"
        has_centre = outcomes.num_inside or len(self._known)
        return "local" if even < RANDOM_SHARE + LOCAL_SHARE and has_centre else "tpe"

    def _component_at_first(self, even: float) -> DrawnBy:
        is_taught = len(self._earlier.good) > 0
        if even < STARTUP_RANDOM_SHARE or not (is_taught or len(self._known)):
            return "random"
        # Half each where there are both.
        if is_taught and len(self._known):
            return "local" if even < (1 + STARTUP_RANDOM_SHARE) / 2 else "tpe"
        return "tpe" if is_taught else "local"

    def _local_moves(self, outcomes: Outcomes) -> Kernels:
        """Return the local moves around the prior and the best trials so far."""
        if len(outcomes.ended) < NUM_STARTUP:
            return self._around(self._known)
        found = outcomes.best(NUM_CENTRES)
        groups = [each for each in (found, self._known) if len(each)]
        scores = [self._score(each, outcomes) for each in groups]
        total = sum(scores)
        shares = [each / total if total > 0 else 1 / len(groups) for each in scores]
        pairs = zip(groups, shares, strict=True)
        weights = [np.full(len(each), share / len(each)) for each, share in pairs]
        return self._around(np.concatenate(groups), np.concatenate(weights))

    def _score(self, centres: Points, outcomes: Outcomes) -> float:
        """Return how well moves from these centres explain the best third: PriorBand's score."""
        best = outcomes.best(max(1, round(BEST_SHARE * len(outcomes.ended))))
        if not len(best):
            return 0.0
        weights = np.arange(len(best), 0, -1)
        return float(weights @ np.exp(self._around(centres).log_density(best)))

    def _around(self, centres: Points, weights: Points | None = None) -> Kernels:
        return Kernels(
            space=self._space,
            centres=centres,
            widths=np.full(centres.shape, MOVE_WIDTH),
            keep=np.full(len(centres), KEEP_CHOICE),
            weights=np.ones(len(centres)) if weights is None else weights,
        )

    def _everywhere(self) -> Kernels:
        return self._around(np.full((1, len(self._space.num_choices)), np.nan))
