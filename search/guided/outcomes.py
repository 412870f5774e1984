"""What a study knows of its trials, as far as a sampler of its own needs it: their order.

Complete trials come first, by their figure; then those that were stopped, the longest first and
equally long ones by their last figure; then those outside the limits, by how far. This is the
order in which Optuna's TPE takes them. Failed trials teach nothing and are left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from search.guided.unit_space import Points, UnitSpace

Rank = tuple[int, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """The trials of a study as points.

    Attributes:
        ended: Points of the trials that ended, the best first, (N, D).
        age: The position of each of them in the order of suggestions, from 0, (N,).
        num_inside: How many of them lie inside the limits.
        running: Points of the trials that run, (R, D).
    """

    ended: Points
    age: Points
    num_inside: int
    running: Points

    def best(self, number: int) -> Points:
        """Return the points of the best trials inside the limits, at most so many."""
        return self.ended[: min(number, self.num_inside)]


class OutcomeReader:
    """Turns the trials of one study into outcomes; each trial's point is computed once.

    Args:
        space: The space of the study.
    """

    def __init__(self, space: UnitSpace) -> None:
        self._space = space
        self._points: dict[int, Points] = {}

    def read(self, trials: Iterable[FrozenTrial]) -> Outcomes:
        """Return the outcomes of the trials so far."""
        ended: list[tuple[Rank, int]] = []
        running: list[int] = []
        for trial in trials:
            if trial.state is TrialState.RUNNING:
                running.append(trial.number)
            elif trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                ended.append((_rank(trial), trial.number))
            if trial.number not in self._points:
                self._points[trial.number] = self._space.point(trial.params)
        ended.sort()
        numbers = [number for _, number in ended]
        return Outcomes(
            ended=self._stacked(numbers),
            age=np.argsort(np.argsort(numbers)).astype(float),
            num_inside=sum(group < _OUTSIDE for (group, _, _), _ in ended),
            running=self._stacked(running),
        )

    def _stacked(self, numbers: list[int]) -> Points:
        points = [self._points[number] for number in numbers]
        return np.array(points).reshape(len(points), len(self._space.num_choices))


_COMPLETE, _STOPPED, _OUTSIDE = range(3)


def _rank(trial: FrozenTrial) -> Rank:
    excess = sum(each for each in trial.constraints.values() if each > 0)
    if excess:
        return _OUTSIDE, excess, 0.0
    if trial.value is not None:
        return _COMPLETE, trial.value, 0.0
    if not trial.intermediate_values:
        return _STOPPED, 0.0, 0.0
    epoch, figure_pct = max(trial.intermediate_values.items())
    return _STOPPED, -epoch, figure_pct
