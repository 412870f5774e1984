"""A search played through its coordinator, with simulated workers on a simulated clock.

The coordinator is the one of a real search: sampler, early stopping, limits, follow-ups and end
are its decisions. Workers, training and time are simulated.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from results.records.record_values import EndState
from search.loop.trial_course import TrialCourse
from search.simulation.objective import SimulatedObjective, SimulatedTrial


class TrialSource(Protocol):
    """The part of a coordinator that workers need; see `search.loop.coordinator.Coordinator`."""

    def next_trial(self) -> TrialCourse | None:
        """Return the next trial to run, None if there is none for now."""

    def report(self, trial: int, epoch: int, veer_pct: float, fields: Mapping[str, Any]) -> bool:
        """Take the result of one epoch; return whether the trial goes on."""

    def end(self, trial: int, state: EndState, reason: str | None) -> None:
        """End a trial that cannot go on."""


class SimulatedClock:
    """A clock that stands still between events.

    Attributes:
        now_s: Simulated seconds since the start.
    """

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the simulated time, seconds."""
        return self.now_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedEpoch:
    """One epoch of a simulated search.

    Attributes:
        time_s: When it ended, on the simulated clock.
        worker: The worker that trained it, from 0.
        trial: Number of the trial.
        epoch: From 1.
        veer_pct: VEER after it, percent; NaN where the trial diverged.
        goes_on: Whether the trial goes on.
    """

    time_s: float
    worker: int
    trial: int
    epoch: int
    veer_pct: float
    goes_on: bool


def replay(
    make: Callable[[SimulatedClock], TrialSource],
    objective: SimulatedObjective,
    *,
    num_workers: int = 1,
) -> Iterator[SimulatedEpoch]:
    """Play a search to its end, epoch by epoch in the order of the simulated time.

    A free worker gets the next trial at once. Where two epochs end at the same time, the worker
    with the lower number is first, so the same search is played the same way each time. The
    search ends early where the objective has nothing left to train. A trial for which it has
    fewer epochs than the search asks for fails.

    Args:
        make: Makes the coordinator, new and unused, on the clock that it is given.
        objective: Gives each trial's course.
        num_workers: Trials at a time.

    Yields:
        Each epoch once its report has taken effect. A caller that has seen enough stops here.

    Raises:
        ValueError: num_workers is below 1.
    """
    # Checked by the call, not by the first epoch.
    if num_workers < 1:
        raise ValueError(f"num_workers must be at least 1, got {num_workers}")
    clock = SimulatedClock()
    return _Replay(make(clock), objective, clock).play(num_workers)


@dataclass(frozen=True, slots=True)
class _Running:
    course: TrialCourse
    trained: SimulatedTrial


class _Replay:
    def __init__(
        self, source: TrialSource, objective: SimulatedObjective, clock: SimulatedClock
    ) -> None:
        self._source = source
        self._objective = objective
        self._clock = clock
        # (time, worker, epoch) of the epochs that end next.
        self._events: list[tuple[float, int, int]] = []
        self._running: dict[int, _Running] = {}
        self._idle: list[int] = []
        self._is_used_up = False

    def play(self, num_workers: int) -> Iterator[SimulatedEpoch]:
        self._idle = list(range(num_workers))
        self._start_trials()
        while self._events:
            self._clock.now_s, worker, epoch = heapq.heappop(self._events)
            yield self._end_epoch(worker, epoch)
            # For all idle workers: follow-ups become due when the trial of another one ends.
            self._start_trials()

    def _start_trials(self) -> None:
        while self._idle and not self._is_used_up:
            course = self._source.next_trial()
            if course is None:
                return
            trained = self._objective.trial(course)
            if trained is None:
                self._source.end(course.trial, "failed", "there is nothing left to train")
                self._is_used_up = True
                return
            worker = self._idle.pop(0)
            self._running[worker] = _Running(course, trained)
            self._expect(worker, course.epoch + 1, trained.setup_s)

    def _expect(self, worker: int, epoch: int, setup_s: float = 0.0) -> None:
        ends_s = self._clock.now_s + setup_s + self._running[worker].trained.epoch_s
        heapq.heappush(self._events, (ends_s, worker, epoch))

    def _end_epoch(self, worker: int, epoch: int) -> SimulatedEpoch:
        running = self._running[worker]
        trial, trained = running.course.trial, running.trained
        veer_pct = trained.veer_pct[epoch - 1]
        goes_on = self._source.report(trial, epoch, veer_pct, trained.fields(epoch))
        if goes_on and epoch == len(trained.veer_pct):
            self._source.end(trial, "failed", f"there are only {epoch} epochs of it")
            goes_on = False
        if goes_on:
            self._expect(worker, epoch + 1)
        else:
            del self._running[worker]
            self._idle.append(worker)
            self._idle.sort()
        return SimulatedEpoch(
            time_s=self._clock.now_s,
            worker=worker,
            trial=trial,
            epoch=epoch,
            veer_pct=veer_pct,
            goes_on=goes_on,
        )
