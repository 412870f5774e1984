"""Plays searches of Veer and of other tools on one simulated clock, and measures them.

A search of Veer is the product's own replay. Another tool is a `Tool`, which is asked for params
and gets the result of each epoch; the same replay plays it. The incumbent after each epoch is the
student (trial and epoch) with the lowest figure so far by which the search decides.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from results.records.record_values import EndState
from results.records.trial_records import EpochEnded
from search.config.search_config import SearchConfig
from search.guided.prior import Prior
from search.loop.appraisal import Appraisal
from search.loop.coordinator import Coordinator
from search.loop.proposals import NO_LIMITS
from search.loop.setup import make_coordinator
from search.loop.trial_course import TrialCourse
from search.simulation.journal_in_memory import JournalInMemory
from search.simulation.objective import SimulatedTrial
from search.simulation.replay import SimulatedClock, TrialSource, replay
from search.suggest.suggestions import Suggestion
from tests.benchmarks.search_problem import Problem, Student
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig

MAX_TRIALS = 100_000


class Tool(Protocol):
    """Another tool: a sampler with early stopping."""

    def suggest(self) -> tuple[int, Mapping[str, Any]]:
        """Return number and params of the next trial; an earlier trial continues."""

    def report(self, trial: int, epoch: int, figure_pct: float) -> bool:
        """Take the result of an epoch, NaN if it diverged; return whether the trial continues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One epoch of a search.

    Attributes:
        time_s: When it ended, on the simulated clock.
        worker: The worker that trained it.
        trial: Number of the trial.
        epoch: From 1.
        figure_pct: What the search decides by, percent, lower is better; NaN where it diverged.
        true_pct: What the student of that epoch is worth.
    """

    time_s: float
    worker: int
    trial: int
    epoch: int
    figure_pct: float
    true_pct: float


class _Objective:
    """The problem as the replay asks it; keeps each trial's course and student."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.courses: dict[int, TrialCourse] = {}
        self.students: dict[int, Student] = {}

    def trial(self, course: TrialCourse) -> SimulatedTrial | None:
        if course.trial not in self.students:
            student = self._problem.student(course.suggestion.params)
            if student is None:
                return None
            self.students[course.trial] = student
        self.courses[course.trial] = course
        student = self.students[course.trial]
        return SimulatedTrial(
            veer_pct=student.veer_pct,
            dprime=() if student.dprime is None else student.dprime,
            epoch_s=student.epoch_s,
        )


class _Source:
    """A tool in the place of a coordinator."""

    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self._courses: dict[int, TrialCourse] = {}
        self._config = TrialConfig()

    def next_trial(self) -> TrialCourse:
        number, params = self._tool.suggest()
        if number not in self._courses:
            suggestion = Suggestion(number=number, params=dict(params), tree={}, seed=0)
            self._courses[number] = TrialCourse(
                trial=number, suggestion=suggestion, config=self._config
            )
        return self._courses[number]

    def report(self, trial: int, epoch: int, veer_pct: float, fields: Mapping[str, Any]) -> bool:
        del fields
        record = EpochEnded(trial=trial, epoch=epoch, veer_pct=veer_pct)
        self._courses[trial].add_epoch(record)
        return self._tool.report(trial, epoch, veer_pct)

    def end(self, trial: int, state: EndState, reason: str | None) -> None:
        del reason
        self._courses[trial].state = state


def veer_source(
    problem: Problem,
    settings: Mapping[str, Any],
    seed: int,
    first: Sequence[Mapping[str, Any]] = (),
    appraisal: Appraisal = NO_LIMITS,
) -> Callable[[SimulatedClock], Coordinator]:
    """Return a maker of a coordinator with these settings, with no limit but `max_epochs`."""
    none = Path("none")
    config = SearchConfig.model_validate(
        {
            "corpus": CorpusConfig(train_dir=none, train_list=none, val_dir=none, val_list=none),
            "space": none,
            "num_trials": MAX_TRIALS,
            "max_epochs": problem.max_epochs,
            "seed": seed,
            **settings,
        }
    )
    params = [dict(each) for each in first]
    return lambda clock: make_coordinator(
        config,
        problem.space,
        JournalInMemory(),
        prior=Prior(first=params),
        appraisal=appraisal,
        clock=clock,
    )


def tool_source(tool: Tool) -> Callable[[SimulatedClock], TrialSource]:
    """Return a maker of a tool's source of trials."""
    return lambda clock: _Source(tool)  # noqa: ARG005 - a tool has no clock


def play(
    problem: Problem,
    source: Callable[[SimulatedClock], TrialSource],
    *,
    num_workers: int = 1,
) -> Iterator[Played]:
    """Play a search without end; the caller stops it.

    Args:
        problem: A new one.
        source: Makes what hands out the trials, new too.
        num_workers: Trials at a time; a free worker gets the next trial at once.
    """
    objective = _Objective(problem)
    for each in replay(source, objective, num_workers=num_workers):
        yield Played(
            time_s=each.time_s,
            worker=each.worker,
            trial=each.trial,
            epoch=each.epoch,
            figure_pct=objective.courses[each.trial].decisions.get(each.epoch, math.nan),
            true_pct=float(objective.students[each.trial].true_pct[each.epoch - 1]),
        )


def incumbents(played: Iterable[Played], budget: int) -> Iterator[tuple[int, float]]:
    """Yield (epochs spent so far, true value) of each new incumbent within the budget."""
    best_pct = math.inf
    for spent, each in enumerate(played, start=1):
        if each.figure_pct < best_pct:
            best_pct = each.figure_pct
            yield spent, each.true_pct
        if spent >= budget:
            return
