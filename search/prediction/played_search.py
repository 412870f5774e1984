"""One search, played to its end or to a VEER: what it took, and which student it chose."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from results.analysis.ranking import ranked
from search.config.search_config import SearchConfig
from search.guided.prior import NO_PRIOR, Prior
from search.loop.coordinator import Coordinator
from search.loop.setup import make_coordinator
from search.loop.trial_course import TrialCourse
from search.simulation.journal_in_memory import JournalInMemory
from search.simulation.objective import SimulatedObjective, SimulatedTrial
from search.simulation.replay import SimulatedClock, replay
from spaces.space import Space

# The VEER of a search without a student, percent: chance.
NO_STUDENT_PCT = 50.0


class KnownTruth(SimulatedObjective, Protocol):
    """A simulated objective that knows what its students are worth."""

    def true_pct(self, trial: int, epoch: int) -> float:
        """Return the true VEER of a trial's student after an epoch, percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedSearch:
    """A search that was played.

    Attributes:
        num_trials: Trials that it started, follow-ups included.
        epochs: Epochs of all of them.
        wall_s: Simulated seconds from the first trial's start to the last one's end.
        worker_s: Simulated seconds for which workers were busy.
        true_pct: What the chosen student is worth, percent.
        shown_pct: Its VEER in the table of trials, percent.
        reached_s: When the incumbent's true VEER reached `until_pct`; None if it did not.
        reached_epochs: Epochs of all trials until then.
    """

    num_trials: int
    epochs: int
    wall_s: float
    worker_s: float
    true_pct: float
    shown_pct: float
    reached_s: float | None = None
    reached_epochs: int | None = None


class _Metered:
    """Counts the seconds of workers; keeps the trials' lengths of an epoch."""

    def __init__(self, world: SimulatedObjective) -> None:
        self._world = world
        self.epoch_s: dict[int, float] = {}
        self.worker_s = 0.0

    def trial(self, course: TrialCourse) -> SimulatedTrial | None:
        trained = self._world.trial(course)
        if trained is not None:
            self.epoch_s[course.trial] = trained.epoch_s
            self.worker_s += trained.setup_s
        return trained


def play_search(
    settings: SearchConfig,
    space: Space,
    world: KnownTruth,
    *,
    num_workers: int,
    prior: Prior = NO_PRIOR,
    until_pct: float | None = None,
) -> PlayedSearch:
    """Play a search.

    Args:
        settings: Its settings, resolved.
        space: Its space.
        world: The students, of no other search yet.
        num_workers: Trials at a time.
        prior: What it knows before its first trial.
        until_pct: End once the incumbent, the student with the lowest figure so far, has this true
            VEER; None to play to the search's own end.
    """

    def make(clock: SimulatedClock) -> Coordinator:
        return make_coordinator(settings, space, JournalInMemory(), prior=prior, clock=clock)

    return play_coordinator(make, world, num_workers=num_workers, until_pct=until_pct)


def play_coordinator(
    make: Callable[[SimulatedClock], Coordinator],
    world: KnownTruth,
    *,
    num_workers: int,
    until_pct: float | None = None,
) -> PlayedSearch:
    """Play the search of a coordinator, which `make` returns new and unused; see `play_search`."""
    made: list[Coordinator] = []

    def keep(clock: SimulatedClock) -> Coordinator:
        made.append(make(clock))
        return made[0]

    metered = _Metered(world)
    now_s, num_epochs, lowest = 0.0, 0, math.inf
    reached_s, reached_epochs = None, None
    for epoch in replay(keep, metered, num_workers=num_workers):
        now_s, num_epochs = epoch.time_s, num_epochs + 1
        metered.worker_s += metered.epoch_s[epoch.trial]
        if until_pct is None:
            continue
        figure = made[0].trials[epoch.trial].decisions.get(epoch.epoch, math.inf)
        if figure < lowest:
            lowest = figure
            if world.true_pct(epoch.trial, epoch.epoch) <= until_pct:
                reached_s, reached_epochs = now_s, num_epochs
                break
    true_pct, shown_pct = _chosen(made[0], world.true_pct)
    return PlayedSearch(
        num_trials=len(made[0].trials),
        epochs=num_epochs,
        wall_s=now_s,
        worker_s=metered.worker_s,
        true_pct=true_pct,
        shown_pct=shown_pct,
        reached_s=reached_s,
        reached_epochs=reached_epochs,
    )


def _chosen(
    coordinator: Coordinator, true_pct: Callable[[int, int], float]
) -> tuple[float, float]:
    """Return the true and the shown VEER of the best trial's best epoch, which is exported."""
    best = next(iter(ranked(coordinator.trials)), None)
    if best is None:
        return NO_STUDENT_PCT, NO_STUDENT_PCT
    measured = best.measured
    epoch = min(measured, key=lambda each: (measured[each], each))
    return true_pct(best.trial, epoch), measured[epoch]
