"""The guided sampler: it starts from what is known, and learns.

What is known before the first trial is the prior: starting points and trials of earlier runs. A
suggestion comes from one of three components: the model (`search.guided.parzen`), a local move,
or chance. The local moves start from the prior and from the best trials so far: from whichever
explains the best third of the trials (the rule of PriorBand: Mallik et al., arXiv 2306.12370). How
many there are follows from how much nearer to the prior the best third is than all trials are, so
a prior that misleads is soon left. Without a prior there are none, since moves around the best
trials alone made searches slower.
"""

from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial

from results.records.record_values import DrawnBy
from search.guided.kernels import Kernels
from search.guided.outcomes import OutcomeReader, Outcomes
from search.guided.parzen import EarlierPoints, draw_from_model
from search.guided.prior import NO_PRIOR, Prior
from search.guided.unit_space import Points, UnitSpace
from spaces.conditions import Params
from spaces.space import Space

# Trials that must have ended before the model draws, as in Optuna's TPE.
NUM_STARTUP = 10
# Shares of the components from then on; the model has the rest. The local moves have theirs only
# as far as the prior is trusted.
RANDOM_SHARE, LOCAL_SHARE = 0.1, 1 / 3
# Share of chance before, if the prior is trusted. Without trust, all is chance.
STARTUP_RANDOM_SHARE = 2 / 3
# Ended trials from which on the trust follows from them.
NUM_JUDGING = 3
# A local move: standard deviation in each range, of its length; probability of keeping a choice.
MOVE_WIDTH, KEEP_CHOICE = 0.15, 0.8
# Best trials so far, and best trials of earlier runs, around which moves are made.
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
        # Draws in place of this one as long as the own trials contradict the earlier runs.
        self._untaught = Guided(space, Prior(first=prior.first)) if prior.earlier else None
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
        return self._draw(self._reader.read(trials), rng)

    def _draw(self, outcomes: Outcomes, rng: np.random.Generator) -> tuple[Params, DrawnBy]:
        if self._untaught is not None and self._contradicts(outcomes):
            return self._untaught._draw(outcomes, rng)
        component = self._component(outcomes, rng.random())
        if component == "local":
            return self._local_moves(outcomes).draw(rng, 1)[0], component
        if component == "random":
            return self._around(self._space.everywhere).draw(rng, 1)[0], component
        return draw_from_model(self._space, outcomes, self._earlier, rng), component

    def _contradicts(self, outcomes: Outcomes) -> bool:
        """Return whether the own trials are in another order than those of earlier runs."""
        best = _best_third(outcomes)
        rest = outcomes.ended[len(best) :]
        good, others = self._earlier.good, self._earlier.others
        if len(outcomes.ended) < NUM_STARTUP or not (len(best) and len(good) and len(others)):
            return False
        points = np.concatenate([best, rest])
        lead = self._around(good).log_density(points) - self._around(others).log_density(points)
        return bool(lead[: len(best)].mean() <= lead[len(best) :].mean())

    def _component(self, outcomes: Outcomes, even: float) -> DrawnBy:
        """Return the component that draws, given a number drawn evenly from 0 to 1."""
        trust = self._trust(outcomes)
        if len(outcomes.ended) >= NUM_STARTUP:
            if even < RANDOM_SHARE:
                return "random"
            return "local" if even < RANDOM_SHARE + LOCAL_SHARE * trust else "tpe"
        known_share = (1 - STARTUP_RANDOM_SHARE) * trust
        if even >= known_share:
            return "random"
        # The model knows something only of earlier runs; then half each.
        is_taught = len(self._earlier.good) > 0
        return "tpe" if is_taught and even < known_share / 2 else "local"

    def _trust(self, outcomes: Outcomes) -> float:
        """Return how much nearer to the prior the best trials are than all are, 0 to 1."""
        if not len(self._known):
            return 0.0
        if len(outcomes.ended) < NUM_JUDGING:
            return 1.0
        best = _best_third(outcomes)
        near = self._around(self._known)
        # Against what was tried, not against chance: where most was tried near the prior, most of
        # the best is there too.
        of_best = np.exp(near.log_density(best)).mean() if len(best) else 0.0
        of_all = np.exp(near.log_density(outcomes.ended)).mean()
        return max(0.0, 1 - float(of_all / of_best)) if of_best > 0 else 0.0

    def _local_moves(self, outcomes: Outcomes) -> Kernels:
        """Return the local moves around the prior and the best trials so far."""
        found = outcomes.best(NUM_CENTRES)
        if len(outcomes.ended) < NUM_STARTUP or not len(found):
            return self._around(self._known)
        groups = (found, self._known)
        scores = [self._score(each, outcomes) for each in groups]
        weights = [
            np.full(len(each), score / len(each))
            for each, score in zip(groups, scores, strict=True)
        ]
        return self._around(np.concatenate(groups), np.concatenate(weights))

    def _score(self, centres: Points, outcomes: Outcomes) -> float:
        """Return how well moves from these centres explain the best third: PriorBand's score."""
        best = _best_third(outcomes)
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


def _best_third(outcomes: Outcomes) -> Points:
    return outcomes.best(max(1, round(BEST_SHARE * len(outcomes.ended))))
