"""The Optuna study of a run, which grows by the journal's records.

complete        COMPLETE, its value the best VEER, as in the trials table
stopped_early   PRUNED, with a VEER by epoch and no value: it can never be the best trial
diverged        PRUNED, with a constraint above 0 (`diverged`): Optuna puts it behind all trials
                that keep theirs, so that the epochs before do not speak for it
failed          FAIL; also a trial said to be complete that never had a VEER
follow-ups      left out: no sampler suggested them, and none is told of them
unfinished      RUNNING
repeated        as the trial whose config it has, from then on
infeasible      PRUNED, with a constraint above 0 for each limit that it breaks: the excess over
                the limit, as a part of it

The study has a trial for each suggestion, in their order, as the search had, and one more for each
failed trial that was begun again; follow-ups are no suggestions. Its metric name says the unit,
user attributes of study and trials say the rest in words (`results.trackers.study_attributes`).

Every record adds entries to the study and changes none, so the file of a journal begins with the
file of that journal's beginning: one that grows while the search runs is, at any moment, the one
that is written of the whole journal (tested).
"""

import json
import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from results.journal.history import TrialHistory
from results.journal.journal import Record
from results.trackers.distributions import to_distribution
from results.trackers.study_attributes import (
    at_its_end,
    at_its_start,
    of_an_epoch,
    of_the_best_epoch,
    of_the_search,
    of_the_teacher,
)
from results.trackers.study_entries import Entries
from spaces.dimensions import Dimension
from spaces.files.atomic import write_bytes_atomically
from spaces.files.errors import RunError
from spaces.limits import Violation

STUDY_NAME = "veer"
OBJECTIVE = "validation EER in percent"
DIVERGED = "diverged"
STATES = {
    "complete": TrialState.COMPLETE,
    "stopped_early": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "diverged": TrialState.PRUNED,
    "running": TrialState.RUNNING,
}
Attributes = Mapping[str, str | int | float]


def rebuild_study(
    records: Iterable[Record], dimensions: Sequence[Dimension], run: str = ""
) -> optuna.Study:
    """Rebuilds the study in memory, its trials in the order of their suggestions.

    Args:
        records: A journal's.
        dimensions: The space's.
        run: Name of the run, for the study's attributes.

    Raises:
        RunError: A trial has a parameter that the space lacks, or a value outside its range.
    """
    log = StudyLog(dimensions, run)
    for record in records:
        log.take(record)
    return log.study


def write_study(
    records: Iterable[Record], dimensions: Sequence[Dimension], path: Path
) -> None:
    """Writes the rebuilt study in Optuna's journal format, replacing the file in one step.

    Args:
        records: A journal's.
        dimensions: The space's.
        path: The file, in the run's folder.

    Raises:
        DiskFullError: There is no room; the file that was there stands.
        RunError: As `rebuild_study`; the file that was there stands.
    """
    log = StudyLog(dimensions, path.resolve().parent.name)
    for record in records:
        log.take(record)
    write_bytes_atomically(path, log.new_lines())


@dataclass(slots=True, kw_only=True)
class _Told:
    """What the study was told of one trial.

    Attributes:
        history: The trial so far; of its epochs what the study needs.
        ids: Its entries in the study that have not ended: its own and those of repetitions.
    """

    history: TrialHistory
    ids: list[int] = field(default_factory=list)


class StudyLog:
    """A study that is told a journal's records one by one.

    Not thread-safe.

    Args:
        dimensions: The space's.
        run: Name of the run, for the study's attributes.
    """

    def __init__(self, dimensions: Sequence[Dimension], run: str = "") -> None:
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._entries = Entries()
        self._storage = JournalStorage(self._entries)
        self.study = optuna.create_study(
            storage=self._storage, study_name=STUDY_NAME, direction="minimize"
        )
        self._id = self._storage.get_study_id_from_name(STUDY_NAME)
        with warnings.catch_warnings():
            # Names the values in optuna-dashboard; experimental since 3.2.
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.study.set_metric_names([OBJECTIVE])
        if run:
            self.study.set_user_attr("run", run)
        self._distributions = {each.name: to_distribution(each) for each in dimensions}
        self._told: dict[int, _Told] = {}

    def new_entries(self) -> list[dict[str, Any]]:
        """The entries of Optuna's journal since the last call."""
        return self._entries.pop()

    def new_lines(self) -> bytes:
        """The same as `JournalFileBackend` would have written them."""
        lines = (json.dumps(entry, separators=(",", ":")) for entry in self.new_entries())
        return "".join(f"{line}\n" for line in lines).encode()

    def take(self, record: Record) -> None:
        """Takes the next record.

        Raises:
            RunError: A trial has a parameter that the space lacks, or a value outside its range,
                or a follow-up is repeated.
        """
        self._entries.now_s = record["time_s"]
        match record["event"]:
            case "search_started":
                self._say_of_the_study(of_the_search(record))
            case "teacher":
                self._say_of_the_study(of_the_teacher(record))
            case "trial_started" if not record.get("follow_up"):
                self._start(record)
            case "epoch" if (told := self._told.get(record["trial"])) is not None:
                self._epoch(told, record)
            case "trial_ended" if (told := self._told.get(record["trial"])) is not None:
                told.history.ended = record
                for number in told.ids:
                    self._end(number, told.history)
                told.ids.clear()
            case "repeated":
                self._repeat(record)
            case "infeasible":
                self._reject(record)

    def _start(self, record: Record) -> None:
        trial = record["trial"]
        told = self._told.get(trial)
        if told is None:
            history = TrialHistory(trial=trial, started=record, start_s=record["time_s"])
            told = self._told[trial] = _Told(history=history)
        elif told.history.ended is None:
            told.history.started = record
            return
        told.history.started, told.history.ended = record, None
        self._add(f"trial {trial}", record, told, {"trial": trial})

    def _repeat(self, record: Record) -> None:
        trial = record["same_as"]
        if (told := self._told.get(trial)) is None:
            raise RunError(f"trial {trial} is repeated, and is no suggestion of the search")
        of_whom = {"same as trial": trial}
        self._add(f"the repetition of trial {trial}", record, told, of_whom)
        if told.history.ended is not None:
            self._end(told.ids.pop(), told.history)

    def _add(self, what: str, record: Record, told: _Told, attributes: Attributes) -> None:
        """Adds a running trial with all that is known of it.

        Args:
            what: What it is, for messages.
            record: What suggested it.
            told: The trial that it is, or repeats.
            attributes: Its own.
        """
        history = told.history
        frozen = self._frozen(
            what,
            record,
            state=TrialState.RUNNING,
            user_attrs={**attributes, **at_its_start(history)},
            intermediate_values={
                epoch: epoch_record["veer_pct"]
                for epoch, epoch_record in sorted(history.epochs.items())
                if epoch_record["veer_pct"] is not None
            },
        )
        told.ids.append(self._storage.create_new_trial(self._id, template_trial=frozen))

    def _epoch(self, told: _Told, record: Record) -> None:
        history, veer_pct = told.history, record["veer_pct"]
        is_first, before = not history.epochs, history.best
        history.epochs[record["epoch"]] = {key: record.get(key) for key in _OF_AN_EPOCH}
        attributes = dict(of_an_epoch(record)) if is_first else {}
        if (best := history.best) is not before and best is not None:
            attributes |= of_the_best_epoch(best)
        for number in told.ids:
            if veer_pct is not None:
                self._storage.set_trial_intermediate_value(number, record["epoch"], veer_pct)
            self._say(number, attributes)

    def _end(self, number: int, history: TrialHistory) -> None:
        best, state = history.best, STATES[history.state]
        if state is TrialState.COMPLETE and best is None:
            state = TrialState.FAIL
        self._say(number, at_its_end(history))
        if history.state == "diverged":
            for key, value in _CONSTRAINT.items():
                self._storage.set_trial_system_attr(number, key, value)
        values = [best["veer_pct"]] if best and state is TrialState.COMPLETE else None
        self._storage.set_trial_state_values(number, state, values)

    def _reject(self, record: Record) -> None:
        violations = [Violation(**violation) for violation in record["violations"]]
        frozen = self._frozen(
            "an infeasible suggestion",
            record,
            state=TrialState.PRUNED,
            constraints={violation.limit: violation.excess for violation in violations},
            user_attrs={"infeasible": "; ".join(map(str, violations))},
        )
        frozen.datetime_complete = frozen.datetime_start
        self._storage.create_new_trial(self._id, template_trial=frozen)

    def _frozen(self, what: str, record: Record, **fields: Any) -> FrozenTrial:
        """Optuna's trial, begun when the record was written; `fields` are its `create_trial`'s."""
        params: dict[str, Any] = record["params"]
        unknown = params.keys() - self._distributions.keys()
        if unknown:
            raise RunError(f"{what} has {sorted(unknown)}, which the space lacks")
        known = {name: self._distributions[name] for name in params}
        try:
            frozen = optuna.trial.create_trial(params=dict(params), distributions=known, **fields)
        except ValueError as error:
            raise RunError(f"{what} does not fit the space: {error}") from error
        frozen.datetime_start = datetime.fromtimestamp(record["time_s"])
        return frozen

    def _say(self, number: int, attributes: Attributes) -> None:
        for name, value in attributes.items():
            self._storage.set_trial_user_attr(number, name, value)

    def _say_of_the_study(self, attributes: Attributes) -> None:
        for name, value in attributes.items():
            self.study.set_user_attr(name, value)


_OF_AN_EPOCH = ("epoch", "veer_pct", "veer_low_pct", "veer_high_pct", "num_params")
# As Optuna keeps it.
_CONSTRAINT = dict(
    optuna.trial.create_trial(state=TrialState.PRUNED, constraints={DIVERGED: 1.0}).system_attrs
)
