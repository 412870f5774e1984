"""The front of a search with several goals: the students that no other beats in all of them.

A trial counts with its lowest VEER and its costs. The figure that decides (`decide_by`) is for the
search itself; the front is the result, and results are VEERs.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Protocol, TypeVar

from results.analysis.nondominated import Point, best_first, nondominated
from results.analysis.ranking import Rankable, may_rank, ranked
from results.journal.goals import Goal, cost_values
from results.journal.history import TrialHistory


class HasCosts(Rankable, Protocol):
    """What the front is made from; a `TrialHistory` and a trial of a live search have it."""

    @property
    def costs(self) -> Mapping[str, float]:
        """Costs by goal; empty in a search with the one goal VEER."""


HasCostsT = TypeVar("HasCostsT", bound=HasCosts)


def goal_point(trial: HasCosts) -> Point:
    """Return the lowest VEER in percent and the costs of a trial; () without costs or a rank."""
    if not trial.costs or not may_rank(trial) or trial.best_veer_pct is None:
        return ()
    return trial.best_veer_pct, *cost_values(trial.costs)


def front_of(trials: Iterable[HasCostsT]) -> list[HasCostsT]:
    """Return the front by ascending VEER; empty in a search with the one goal VEER."""
    able = [(point, trial) for trial in trials if (point := goal_point(trial))]
    front = [able[index] for index in nondominated([point for point, _ in able])]
    return [trial for _, trial in sorted(front, key=lambda pair: (pair[0], pair[1].trial))]


def by_goals(trials: Iterable[HasCostsT]) -> Iterator[HasCostsT]:
    """Yield the trials with a rank, in the order in which they are kept, measured and repeated.

    With one goal that of the ranks. With several goals that of `best_first`: first the front, in
    the order in which each adds most to what those before it dominate.
    """
    trials = list(trials)
    able = [(point, trial) for trial in trials if (point := goal_point(trial))]
    if not able:
        yield from ranked(trials)
    yield from (able[index][1] for index in best_first([point for point, _ in able]))


def kept_first(trials: Iterable[HasCostsT]) -> Iterator[HasCostsT]:
    """Yield the same with the first in rank before all others: it is exported in any case."""
    trials = list(trials)
    first = ranked(trials)[:1]
    numbers = {trial.trial for trial in first}
    yield from chain(first, (t for t in by_goals(trials) if t.trial not in numbers))


def cost_of(trial: TrialHistory, goal: Goal) -> float | None:
    """Return a trial's cost by a goal; None where it is not known."""
    if goal == "params" and goal not in trial.costs:  # counted by every worker
        return None if trial.last is None else trial.last.num_params
    return trial.costs.get(goal)
