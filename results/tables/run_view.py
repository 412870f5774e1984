"""One run as its journal has it at one moment: what tables, figures and notebooks look at."""

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
from trainable.config.reading import preset_trees
from trainable.config.trial_config import TrialConfig


def dimensions_of(space: Path, params: Iterable[Mapping[str, Any]]) -> tuple[Dimension, ...]:
    """Those of the space's file, else those that the values at hand span.

    The file may be gone, edited since, or name a model of the person's own, whose code is not run
    to draw a picture.

    Args:
        space: A run's space.yaml.
        params: Every trial's sampled values by dotted name.
    """
    sampled = tuple(params)
    spanned = _spanned(sampled)
    try:
        told = read_space(space, TrialConfig, presets=preset_trees()).dimensions
    except (VeerError, OSError):
        return spanned
    by_name = {each.name: each for each in told}
    fits = all(
        name in by_name and _holds(by_name[name], value)
        for own in sampled
        for name, value in own.items()
    )
    return told if fits else spanned


def _holds(dimension: Dimension, value: Any) -> bool:
    if isinstance(dimension, Choice):
        return any(equal_values(value, each) for each in dimension.choices)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and dimension.low <= value <= dimension.high


def _spanned(params: Iterable[Mapping[str, Any]]) -> tuple[Dimension, ...]:
    values: dict[str, list[Any]] = {}
    for sampled in params:
        for name, value in sampled.items():
            values.setdefault(name, []).append(value)
    return tuple(_dimension(name, own) for name, own in values.items())


def _dimension(name: str, values: list[Any]) -> Dimension:
    kinds = {type(value) for value in values}
    if kinds == {int} and min(values) < max(values):
        return Integer(name=name, low=min(values), high=max(values))
    if kinds <= {int, float} and min(values) < max(values):
        return Float(name=name, low=float(min(values)), high=float(max(values)))
    return Choice(name=name, choices=tuple(dict.fromkeys(values)))


if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class RunView:
    """One run at one moment; what is asked of it is computed once.

    Attributes:
        folder: The run folder.
        records: Its journal's records, oldest first.
    """

    folder: RunFolder
    records: tuple[Record, ...]

    @classmethod
    def read(cls, run: RunFolder | Path) -> "RunView":
        """Reads the journal once; the search may be running.

        Raises:
            RunError: The folder is no run folder, or its journal is damaged.
        """
        folder = run if isinstance(run, RunFolder) else RunFolder(run)
        return cls(folder=folder, records=folder.read())

    @cached_property
    def histories(self) -> tuple[TrialHistory, ...]:
        """Every trial, by number, follow-ups too."""
        return tuple(trial_histories(self.records))

    @cached_property
    def own(self) -> tuple[TrialHistory, ...]:
        """The search's own trials, without follow-ups, by number."""
        return tuple(trial for trial in self.histories if trial.follow_up is None)

    @cached_property
    def ranked(self) -> tuple[TrialHistory, ...]:
        """Trials with a rank, the best first."""
        return tuple(ranked(self.histories))

    @cached_property
    def repeats(self) -> Mapping[int, Repeats]:
        """What finalists' configs gave with other seeds, by the finalist's number."""
        return repeats_of(self.histories)

    @property
    def best(self) -> TrialHistory | None:
        """The first in rank, None before any epoch."""
        return self.ranked[0] if self.ranked else None

    @cached_property
    def table(self) -> pa.Table:
        """The trials table; its columns stand in docs/tables.md."""
        return trials_table(self.records, self.kept)

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """The same as a DataFrame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    @cached_property
    def epochs(self) -> "pd.DataFrame":
        """The epochs table; its columns stand in docs/tables.md."""
        frame: pd.DataFrame = epochs_table(self.records).to_pandas()
        return frame

    @cached_property
    def settings(self) -> Record:
        """The search's settings as last told; empty where the journal has none."""
        return latest_settings(self.records)

    @cached_property
    def teacher(self) -> Record | None:
        """The latest `teacher` record."""
        return latest(self.records, "teacher")

    @property
    def teacher_veer_pct(self) -> float | None:
        """The teacher's VEER, percent, where it is known."""
        return None if self.teacher is None else self.teacher["veer_pct"]

    @cached_property
    def benchmark(self) -> Record | None:
        """The latest `benchmark` record."""
        return latest(self.records, "benchmark")

    @cached_property
    def speeds(self) -> Mapping[int, Record]:
        """Benchmark rows of one utterance at a time on the fewest threads, by trial number."""
        rows = single_utterance_rows(self.benchmark)
        numbered = ((trial_of(row), row) for row in rows)
        return {number: row for number, row in numbered if number is not None}

    @cached_property
    def teacher_speed(self) -> Record | None:
        """The same benchmark's row of the teacher, None where it was not measured."""
        rows = single_utterance_rows(self.benchmark)
        return next((row for row in rows if row["model"] == "teacher"), None)

    @cached_property
    def rungs(self) -> list[float]:
        """Epochs at which early stopping compares trials."""
        return rungs_of(self.settings)

    @cached_property
    def kept(self) -> RunScores:
        """The validation scores that the run kept."""
        return RunScores(self.folder)

    def scores(self, trial: TrialHistory) -> TrialScores | None:
        """The validation scores of a trial's best epoch, None where they were not kept."""
        return self.kept.trial(trial)

    @cached_property
    def teacher_scores(self) -> TrialScores | None:
        """The teacher's validation scores, None where they were not kept."""
        return self.kept.teacher(self.teacher)

    @property
    def is_running(self) -> bool:
        """Whether the journal has no end of the search: it runs, or was killed."""
        turn = last_turn(self.records)
        return turn is not None and turn["event"] != "search_ended"

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """What the search varies, by its space, else by the values that its trials had."""
        return dimensions_of(self.folder.space, [trial.params for trial in self.histories])

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """Sampled parameters that differ between trials, in the order first sampled."""
        found: dict[str, set[str]] = {}
        for trial in self.own:
            for name in trial.params:
                found.setdefault(name, set())
        for trial in self.own:
            params = trial.params
            for name, values in found.items():
                values.add(repr(params.get(name)))
        return tuple(name for name, values in found.items() if len(values) > 1)

    @cached_property
    def short_names(self) -> Mapping[str, str]:
        """Sampled parameters' names without their path, where that stays unambiguous."""
        return shortened([name for trial in self.own for name in trial.params])


def shortened(names: Sequence[str]) -> dict[str, str]:
    """Dotted names by themselves, cut to their last part where no other ends so."""
    unique = list(dict.fromkeys(names))
    ends = Counter(name.rpartition(".")[2] for name in unique)
    last = {name: name.rpartition(".")[2] for name in unique}
    return {name: end if ends[end] == 1 else name for name, end in last.items()}


def interval_of(trial: TrialHistory) -> tuple[float, float] | None:
    """Both ends of the 95 % interval of the best epoch's VEER, percent, where it was measured."""
    best: Mapping[str, Any] = trial.best or {}
    low, high = best.get("veer_low_pct"), best.get("veer_high_pct")
    return None if low is None or high is None else (low, high)
