"""One run as its journal has it, from which tables, trackers, page and commands are made.

Besides `RunView`: functions that are computed once a view, short names of parameters, the interval
of a VEER.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, TypeVar

from results.analysis.cost import SearchCost, TrialCost, search_cost, trial_costs
from results.analysis.front import front_of
from results.analysis.metering import SearchSession, search_sessions, trial_meters
from results.analysis.ranking import Repeats, ranked, repeats_of
from results.analysis.rungs import rungs_of
from results.analysis.speed import single_utterance_rows, speed_ratios, trial_of
from results.analysis.trial_scores import RunScores, TrialScores
from results.journal.decision import DecisionKind, decision_kind
from results.journal.goals import Goal, goals_of
from results.journal.history import TrialHistory, trial_histories
from results.journal.repetitions import Repetition, repetitions
from results.journal.run_folder import RunFolder
from results.journal.turns import SearchTurn, last_turn, latest_settings
from results.records.benchmark_row import BenchmarkRow
from results.records.record import Record
from results.records.search_records import (
    ModelsBenchmarked,
    RepeatedSuggestion,
    SearchResumed,
    SearchStarted,
    TeacherRecord,
)
from results.records.trial_records import TrialStarted
from spaces.dimensions import Dimension

ComputedT = TypeVar("ComputedT")
RecordT = TypeVar("RecordT", bound=Record)


class RunView:
    """A snapshot of one run; every property is computed at its first use and then kept.

    Args:
        folder: The run folder.
        records: The records of its journal, oldest first.
        scores: Scores of the run that were read before, if there are any.

    Attributes:
        folder: The run folder.
        records: The records of its journal, oldest first.
        run_scores: The validation scores saved in the run folder.
    """

    def __init__(
        self, folder: RunFolder, records: Iterable[Record], scores: RunScores | None = None
    ) -> None:
        self.folder = folder
        self.records = tuple(records)
        self.run_scores = scores or RunScores(folder)
        self._computed: dict[object, Any] = {}

    @classmethod
    def read(cls, run: RunFolder | Path) -> "RunView":
        """Return a view of the journal as it is now; the search may be running.

        Raises:
            RunError: The folder is no run folder, or its journal is damaged.
        """
        folder = run if isinstance(run, RunFolder) else RunFolder(run)
        # Read once: all properties must agree, also while the search appends records.
        return cls(folder, folder.read())

    def with_records(self, *more: Record) -> "RunView":
        """Return a view with records that were appended to the journal since it was read."""
        return type(self)(self.folder, (*self.records, *more), self.run_scores)

    def once(self, compute: "Callable[[RunView], ComputedT]") -> ComputedT:
        """Return the result of a function of this view, which is called only the first time."""
        if compute not in self._computed:
            self._computed[compute] = compute(self)
        result: ComputedT = self._computed[compute]
        return result

    @cached_property
    def _by_class(self) -> Mapping[type[Record], list[Any]]:
        found: dict[type[Record], list[Any]] = {}
        for record in self.records:
            found.setdefault(type(record), []).append(record)
        return found

    def all_of(self, event: type[RecordT]) -> Sequence[RecordT]:
        """Return the records of a class, oldest first."""
        return self._by_class.get(event, [])

    def latest(self, event: type[RecordT]) -> RecordT | None:
        """Return the last record of a class; None where there is none."""
        return next(reversed(self.all_of(event)), None)

    @cached_property
    def histories(self) -> tuple[TrialHistory, ...]:
        """All trials by ascending number, follow-ups included."""
        return tuple(trial_histories(self.records))

    @cached_property
    def own(self) -> tuple[TrialHistory, ...]:
        """The search's own trials, without follow-ups, by ascending number."""
        return tuple(trial for trial in self.histories if trial.follow_up is None)

    @cached_property
    def ranked(self) -> tuple[TrialHistory, ...]:
        """The trials with a rank, the best first."""
        return tuple(ranked(self.histories))

    @property
    def best(self) -> TrialHistory | None:
        """The first in rank, None where no trial has a rank."""
        return self.ranked[0] if self.ranked else None

    @cached_property
    def repeats(self) -> Mapping[int, Repeats]:
        """The repeats of finalists' configs with other seeds, by the finalist's number."""
        return repeats_of(self.histories)

    @cached_property
    def repetitions(self) -> Mapping[int, Sequence[Repetition]]:
        """The repeated suggestions with new values, by the trial whose run they share."""
        found: dict[int, list[Repetition]] = {}
        for repetition in repetitions(self.records):
            found.setdefault(repetition.same_as, []).append(repetition)
        return found

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The latest settings of the search; empty where the journal has none."""
        return latest_settings(self.records)

    @cached_property
    def success(self) -> Mapping[str, float]:
        """The VEER of each success criterion in percent, from the latest settings."""
        criteria = self.settings.get("success") or {}
        return {name: float(pct) for name, pct in criteria.items() if pct is not None}

    @cached_property
    def decide_by(self) -> DecisionKind:
        """The figure by which the search compares trials."""
        return decision_kind(self.settings)

    @cached_property
    def goals(self) -> tuple[Goal, ...]:
        """The goals of the search."""
        return goals_of(self.settings)

    @cached_property
    def front(self) -> tuple[TrialHistory, ...]:
        """The trials that no other beats in all goals, see `front_of`."""
        return tuple(front_of(self.histories))

    @cached_property
    def rungs(self) -> list[float]:
        """The epochs at which early stopping compares trials."""
        return rungs_of(self.settings)

    @property
    def teacher(self) -> TeacherRecord | None:
        """The latest `teacher` record of the journal; None without a teacher."""
        return self.latest(TeacherRecord)

    @property
    def teacher_veer_pct(self) -> float | None:
        """The teacher's VEER, percent, None where it is not known."""
        return None if self.teacher is None else self.teacher.veer_pct

    @property
    def benchmark(self) -> ModelsBenchmarked | None:
        """The latest `benchmark` record of the journal; None before the first benchmark."""
        return self.latest(ModelsBenchmarked)

    @cached_property
    def speed_ratios(self) -> Mapping[int, float]:
        """The teacher's latency divided by the student's, by trial; see `speed_ratios`."""
        return speed_ratios(self.benchmark)

    @cached_property
    def speeds(self) -> Mapping[int, BenchmarkRow]:
        """Benchmark rows of one utterance at a time on the fewest threads, by trial number."""
        rows = single_utterance_rows(self.benchmark)
        numbered = ((trial_of(row), row) for row in rows)
        return {number: row for number, row in numbered if number is not None}

    @cached_property
    def teacher_speed(self) -> BenchmarkRow | None:
        """The teacher's row of the same benchmark, None where it was not measured."""
        rows = single_utterance_rows(self.benchmark)
        return next((row for row in rows if row.model == "teacher"), None)

    def scores(self, trial: TrialHistory) -> TrialScores | None:
        """Return the validation scores of a trial's best epoch, None where they were not saved."""
        return self.run_scores.trial(trial)

    @cached_property
    def teacher_scores(self) -> TrialScores | None:
        """The teacher's validation scores, None where they were not saved."""
        return self.run_scores.teacher(self.teacher)

    @cached_property
    def last_turn(self) -> SearchTurn | None:
        """The last start or end of the search; None where it has not started."""
        return last_turn(self.records)

    @property
    def is_running(self) -> bool:
        """Whether the journal has no end of the search, because it runs or was killed."""
        return isinstance(self.last_turn, SearchStarted | SearchResumed)

    @cached_property
    def sessions(self) -> Sequence[SearchSession]:
        """The parts of the search that one process each led, oldest first."""
        return search_sessions(self.records)

    @cached_property
    def costs(self) -> Mapping[int, TrialCost]:
        """The cost of each trial, by its number."""
        return trial_costs(self.histories, trial_meters(self.sessions))

    @cached_property
    def cost(self) -> SearchCost:
        """The cost of the search so far, over all its sessions."""
        return search_cost(self.histories, self.costs, self.sessions)

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions of the search space, see `dimensions_of`."""
        # It imports PyTorch; the tables need no space and open quickly without it.
        from results.analysis.dimensions import dimensions_of

        return dimensions_of(self.folder.space, [trial.params for trial in self.histories])

    @cached_property
    def sampled_names(self) -> Sequence[str]:
        """The names of the sampled parameters, in the order first sampled."""
        kinds = (TrialStarted, RepeatedSuggestion)
        suggestions = (record for record in self.records if isinstance(record, kinds))
        return list(dict.fromkeys(name for record in suggestions for name in record.params))

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """The sampled parameters that differ between trials, in the order first sampled."""
        # All names first: a trial that lacks a parameter counts with None, so that it varies.
        found: dict[str, set[str]] = {}
        for trial in self.own:
            for name in trial.params:
                found.setdefault(name, set())
        for trial in self.own:
            params = trial.params
            for name, values in found.items():
                # By `repr`, since a set would take 1 and True for equal.
                values.add(repr(params.get(name)))
        return tuple(name for name, values in found.items() if len(values) > 1)

    @cached_property
    def short_names(self) -> Mapping[str, str]:
        """Short names of the sampled parameters, see `shortened`."""
        return shortened([name for trial in self.own for name in trial.params])


def once_a_view(compute: Callable[[RunView], ComputedT]) -> Callable[[RunView], ComputedT]:
    """Decorate a function of a view so that it is computed once for each view."""

    @wraps(compute)
    def kept(view: RunView) -> ComputedT:
        return view.once(compute)

    return kept


def shortened(names: Sequence[str]) -> dict[str, str]:
    """Return a short name for each dotted name: its last part, where no other ends in it."""
    last_parts = {name: name.rpartition(".")[2] for name in names}
    counts = Counter(last_parts.values())
    return {name: last if counts[last] == 1 else name for name, last in last_parts.items()}


def interval_of(trial: TrialHistory) -> tuple[float, float] | None:
    """Return the ends of the 95 % interval of the best epoch's VEER, percent, None if unknown."""
    if trial.best is None:
        return None
    low, high = trial.best.veer_low_pct, trial.best.veer_high_pct
    return None if low is None or high is None else (low, high)
