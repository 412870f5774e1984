"""A snapshot of one run, from which tables, charts and notebooks are made.

Besides `RunView`: short names of parameters, the interval of a VEER, the dimensions of a space.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from results.analysis.ranking import Repeats, ranked, repeats_of
from results.analysis.remarks import latest_settings
from results.analysis.rungs import rungs_of
from results.analysis.speed import single_utterance_rows, trial_of
from results.analysis.trial_scores import RunScores, TrialScores
from results.journal.history import TrialHistory, last_turn, latest, trial_histories
from results.journal.journal import Record
from results.journal.run_folder import RunFolder
from results.tables.trials import epochs_table, trials_table
from spaces.dimensions import Choice, Dimension, Float, Integer, equal_values
from spaces.files.errors import VeerError
from spaces.reading.space_file import read_space

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A snapshot of one run; every property is computed at its first use and then cached.

    Attributes:
        folder: The run folder.
        records: The records of its journal, oldest first.
    """

    folder: RunFolder
    records: tuple[Record, ...]

    @classmethod
    def read(cls, run: RunFolder | Path) -> "RunView":
        """Return a view of the journal as it is now; the search may be running.

        Raises:
            RunError: The folder is no run folder, or its journal is damaged.
        """
        folder = run if isinstance(run, RunFolder) else RunFolder(run)
        # Read once: all properties must agree, also while the search appends records.
        return cls(folder=folder, records=folder.read())

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

    @cached_property
    def repeats(self) -> Mapping[int, Repeats]:
        """The repeats of finalists' configs with other seeds, by the finalist's number."""
        return repeats_of(self.histories)

    @property
    def best(self) -> TrialHistory | None:
        """The first in rank, None where no trial has a rank."""
        return self.ranked[0] if self.ranked else None

    @cached_property
    def table(self) -> pa.Table:
        """The trials table; docs/tables.md describes its columns."""
        return trials_table(self.records, self.run_scores)

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """The trials table as a DataFrame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    @cached_property
    def epochs(self) -> "pd.DataFrame":
        """The epochs table as a DataFrame; docs/tables.md describes its columns."""
        frame: pd.DataFrame = epochs_table(self.records).to_pandas()
        return frame

    @cached_property
    def settings(self) -> Record:
        """The latest settings of the search; empty where the journal has none."""
        return latest_settings(self.records)

    @cached_property
    def teacher(self) -> Record | None:
        """The latest `teacher` record of the journal; None without a teacher."""
        return latest(self.records, "teacher")

    @property
    def teacher_veer_pct(self) -> float | None:
        """The teacher's VEER, percent, None where it is not known."""
        return None if self.teacher is None else self.teacher["veer_pct"]

    @cached_property
    def benchmark(self) -> Record | None:
        """The latest `benchmark` record of the journal; None before the first benchmark."""
        return latest(self.records, "benchmark")

    @cached_property
    def speeds(self) -> Mapping[int, Record]:
        """Benchmark rows of one utterance at a time on the fewest threads, by trial number."""
        rows = single_utterance_rows(self.benchmark)
        numbered = ((trial_of(row), row) for row in rows)
        return {number: row for number, row in numbered if number is not None}

    @cached_property
    def teacher_speed(self) -> Record | None:
        """The teacher's row of the same benchmark, None where it was not measured."""
        rows = single_utterance_rows(self.benchmark)
        return next((row for row in rows if row["model"] == "teacher"), None)

    @cached_property
    def rungs(self) -> list[float]:
        """The epochs at which early stopping compares trials."""
        return rungs_of(self.settings)

    @cached_property
    def run_scores(self) -> RunScores:
        """The validation scores saved in the run folder."""
        return RunScores(self.folder)

    def scores(self, trial: TrialHistory) -> TrialScores | None:
        """Return the validation scores of a trial's best epoch, None where they were not saved."""
        return self.run_scores.trial(trial)

    @cached_property
    def teacher_scores(self) -> TrialScores | None:
        """The teacher's validation scores, None where they were not saved."""
        return self.run_scores.teacher(self.teacher)

    @property
    def is_running(self) -> bool:
        """Whether the journal has no end of the search, because it runs or was killed."""
        turn = last_turn(self.records)
        return turn is not None and turn["event"] != "search_ended"

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions of the search space, see `dimensions_of`."""
        return dimensions_of(self.folder.space, [trial.params for trial in self.histories])

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


def shortened(names: Sequence[str]) -> dict[str, str]:
    """Return a short name for each dotted name: its last part, where no other ends in it."""
    last_parts = {name: name.rpartition(".")[2] for name in names}
    counts = Counter(last_parts.values())
    return {name: last if counts[last] == 1 else name for name, last in last_parts.items()}


def interval_of(trial: TrialHistory) -> tuple[float, float] | None:
    """Return the ends of the 95 % interval of the best epoch's VEER, percent, None if unknown."""
    best: Mapping[str, Any] = trial.best or {}
    low, high = best.get("veer_low_pct"), best.get("veer_high_pct")
    return None if low is None or high is None else (low, high)


def dimensions_of(space: Path, params: Iterable[Mapping[str, Any]]) -> tuple[Dimension, ...]:
    """Return the dimensions in the space's file, or else those that the sampled values span.

    The file may be missing, edited since the search, or name a user's own model, whose code must
    not run just to draw a chart.

    Args:
        space: The space.yaml of a run.
        params: Sampled values of every trial by dotted name.
    """
    # These import PyTorch; the tables need no space and open quickly without it.
    from trainable.config.reading import preset_trees
    from trainable.config.trial_config import TrialConfig

    sampled = tuple(params)
    spanned = _spanned(sampled)
    try:
        in_file = read_space(space, TrialConfig, presets=preset_trees()).dimensions
    except (VeerError, OSError):
        return spanned
    by_name = {each.name: each for each in in_file}
    # One value outside shows that the file was edited, so none of its ranges is trusted.
    fits = all(
        name in by_name and _holds(by_name[name], value)
        for own in sampled
        for name, value in own.items()
    )
    return in_file if fits else spanned


def _holds(dimension: Dimension, value: Any) -> bool:
    """Return whether a value lies in a dimension."""
    if isinstance(dimension, Choice):
        return any(equal_values(value, each) for each in dimension.choices)
    # Python counts True and False as whole numbers.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and dimension.low <= value <= dimension.high


def _spanned(params: Iterable[Mapping[str, Any]]) -> tuple[Dimension, ...]:
    values: dict[str, list[Any]] = {}
    for sampled in params:
        for name, value in sampled.items():
            values.setdefault(name, []).append(value)
    return tuple(_dimension(name, own) for name, own in values.items())


def _dimension(name: str, values: list[Any]) -> Dimension:
    """Return the smallest dimension with these values; a Choice where they are not a range."""
    kinds = {type(value) for value in values}
    if kinds == {int} and min(values) < max(values):
        return Integer(name=name, low=min(values), high=max(values))
    if kinds <= {int, float} and min(values) < max(values):
        return Float(name=name, low=float(min(values)), high=float(max(values)))
    return Choice(name=name, choices=tuple(dict.fromkeys(values)))
