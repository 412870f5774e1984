"""The Optuna study of a run, built record by record from the run's journal.

complete        COMPLETE; its value is the best VEER, as in the trials table
stopped_early   PRUNED, with a VEER by epoch and no value: it can never be the best trial
diverged        PRUNED, with a constraint above 0 (`diverged`): Optuna ranks it behind all trials
                that meet their constraints, so its good early epochs do not count
failed          FAIL; also a trial recorded as complete that never had a VEER
follow-ups      left out, because no sampler suggested them
unfinished      RUNNING
repeated        the same state as the trial with the same config, from then on
infeasible      PRUNED, with a constraint above 0 for each limit that it breaks: the excess over
                the limit, as a fraction of the limit

With several goals a trial has a value for each, in their order, and none by epoch; a trial that
was stopped early is COMPLETE with its best VEER so far, as Optuna's fronts leave out the others.

The study has one trial for each suggestion, in the order of the search, and one more for each
failed trial that was started again. Its metric name includes the unit. User attributes of the
study and its trials hold the rest as text (`results.trackers.study_attributes`).

Each record only adds entries to the study and changes none. So a file that grows while the search
runs is, at any moment, equal to the file written from the whole journal (tested).
"""

import json
import logging
import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from results.analysis.ranking import may_rank
from results.analysis.run_view import RunView
from results.journal.goals import GOAL_NAMES, ONE_GOAL, VEER, Goal
from results.journal.history import TrialFold, TrialHistory
from results.records.record import Record
from results.records.search_records import (
    InfeasibleSuggestion,
    RepeatedSuggestion,
    SearchStarted,
    TeacherRecord,
)
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from results.trackers.distributions import to_distribution
from results.trackers.study_attributes import (
    UserAttributes,
    best_epoch_attributes,
    end_attributes,
    first_epoch_attributes,
    search_attributes,
    start_attributes,
    teacher_attributes,
)
from results.trackers.study_entries import Entries
from spaces.dimensions import Dimension
from spaces.files.atomic import write_bytes_atomically
from spaces.files.errors import RunError
from spaces.limits import Violation

STUDY_NAME = "veer"
OBJECTIVE = "validation EER in percent"
DIVERGED = "diverged"
_Suggestion = TrialStarted | RepeatedSuggestion | InfeasibleSuggestion
_OPTUNA_STATES = {
    "complete": TrialState.COMPLETE,
    "stopped_early": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "diverged": TrialState.PRUNED,
    "running": TrialState.RUNNING,
}
# A storage takes constraints only as system attributes, whose names are private to Optuna. So the
# attribute is read from a trial that Optuna made.
_DIVERGED_CONSTRAINT = dict(
    optuna.trial.create_trial(state=TrialState.PRUNED, constraints={DIVERGED: 1.0}).system_attrs
)


def write_study(view: RunView, dimensions: Sequence[Dimension]) -> None:
    """Write the study of a run in Optuna's journal format; replace the file atomically.

    Args:
        view: The run.
        dimensions: The dimensions of the space.

    Raises:
        DiskFullError: The disk is full; the previous file is kept.
        RunError: A trial has a parameter that the space lacks, or a value outside its range; the
            previous file is kept.
    """
    log = StudyLog(dimensions, view.folder.path.resolve().name, view.goals)
    for record in view.records:
        log.take(record)
    write_bytes_atomically(view.folder.study, log.new_lines())


class StudyLog:
    """A study that grows with the records of a journal, one at a time.

    Not thread-safe.

    Args:
        dimensions: The dimensions of the space.
        run: Name of the run, for the study's attributes.
        goals: The goals of the search.
    """

    def __init__(
        self,
        dimensions: Sequence[Dimension],
        run: str = "",
        goals: Sequence[Goal] = ONE_GOAL,
    ) -> None:
        # At INFO, Optuna logs a line for each study and trial that it creates.
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._entries = Entries()
        self._storage = JournalStorage(self._entries)
        self.study = optuna.create_study(
            storage=self._storage,
            study_name=STUDY_NAME,
            directions=[StudyDirection.MINIMIZE] * len(goals),
        )
        self._goals = tuple(goals)
        self._id = self._storage.get_study_id_from_name(STUDY_NAME)
        with warnings.catch_warnings():
            # optuna-dashboard shows the name with the values. Experimental since Optuna 3.2.
            warnings.simplefilter("ignore", ExperimentalWarning)
            names = [OBJECTIVE if goal == VEER else GOAL_NAMES[goal] for goal in goals]
            self.study.set_metric_names(names)
        if run:
            self.study.set_user_attr("run", run)
        self._distributions = {each.name: to_distribution(each) for each in dimensions}
        self._fold = TrialFold()
        # By the number of a suggested trial, Optuna's ids of its trials in the study that have not
        # ended: its own and those of repetitions of its config.
        self._open_ids: dict[int, list[int]] = {}

    @property
    def _has_several_goals(self) -> bool:
        return len(self._goals) > 1

    def new_lines(self) -> bytes:
        """Return the entries of Optuna's journal that were added since the last call, as lines."""
        # The separators are those of `JournalFileBackend`, so that the bytes are the same.
        lines = (json.dumps(entry, separators=(",", ":")) for entry in self._entries.pop())
        return "".join(f"{line}\n" for line in lines).encode()

    def take(self, record: Record) -> None:
        """Add the next record to the study.

        Raises:
            RunError: A trial has a parameter that the space lacks, or a value outside its range,
                or a follow-up is repeated.
        """
        self._entries.now_s = record.time_s
        match record:
            case SearchStarted():
                self._set_study_attributes(search_attributes(record))
            case TeacherRecord():
                self._set_study_attributes(teacher_attributes(record))
            case RepeatedSuggestion():
                self._repeat(record)
            case InfeasibleSuggestion():
                self._reject(record)
            case TrialStarted() if record.follow_up is None:
                self._start(record)
            # Follow-ups have not started here, so their epochs and ends are left out.
            case EpochEnded() | TrialEnded() if record.trial in self._fold.trials:
                self._continue(record, self._fold.trials[record.trial])

    def _start(self, record: TrialStarted) -> None:
        self._fold.take(record)
        history = self._fold.trials[record.trial]
        # Optuna cannot reopen a trial that ended, so a failed trial gets another one.
        if not history.is_continued:
            self._add(f"trial {record.trial}", record, history, {"trial": record.trial})

    def _continue(self, record: EpochEnded | TrialEnded, history: TrialHistory) -> None:
        is_first, best = not history.epochs, history.best
        self._fold.take(record)
        match record:
            case EpochEnded():
                attributes = first_epoch_attributes(record) if is_first else {}
                if history.best is not best:
                    attributes |= best_epoch_attributes(history)
                self._add_epoch(record, attributes)
            case TrialEnded():
                for optuna_id in self._open_ids.pop(record.trial):
                    self._end(optuna_id, history)

    def _repeat(self, record: RepeatedSuggestion) -> None:
        number = record.same_as
        if (history := self._fold.trials.get(number)) is None:
            raise RunError(f"trial {number} is repeated, but the search did not suggest it")
        self._add(f"the repetition of trial {number}", record, history, {"same as trial": number})
        if history.ended is not None:
            self._end(self._open_ids[number].pop(), history)

    def _add(
        self, what: str, record: _Suggestion, history: TrialHistory, attributes: UserAttributes
    ) -> None:
        """Add a running trial to the study, with everything that is known about it.

        Args:
            what: What is added, for messages.
            record: The record of the suggestion.
            history: The suggested trial, or the one that the suggestion repeats.
            attributes: User attributes of this entry only.
        """
        frozen = self._frozen(
            what,
            record,
            state=TrialState.RUNNING,
            user_attrs={**attributes, **start_attributes(history)},
            intermediate_values={} if self._has_several_goals else history.measured,
        )
        optuna_id = self._storage.create_new_trial(self._id, template_trial=frozen)
        self._open_ids.setdefault(history.trial, []).append(optuna_id)

    def _add_epoch(self, record: EpochEnded, attributes: UserAttributes) -> None:
        veer_pct = record.veer_pct
        for optuna_id in self._open_ids.get(record.trial, ()):
            if veer_pct is not None and not self._has_several_goals:
                self._storage.set_trial_intermediate_value(optuna_id, record.epoch, veer_pct)
            self._set_trial_attributes(optuna_id, attributes)

    def _end(self, optuna_id: int, history: TrialHistory) -> None:
        best, state = history.best_veer_pct, _OPTUNA_STATES[history.state]
        if self._has_several_goals and state is TrialState.PRUNED and may_rank(history):
            state = TrialState.COMPLETE
        if state is TrialState.COMPLETE and best is None:
            state = TrialState.FAIL  # Optuna refuses COMPLETE without a value
        self._set_trial_attributes(optuna_id, end_attributes(history))
        if history.state == "diverged":
            for key, value in _DIVERGED_CONSTRAINT.items():
                self._storage.set_trial_system_attr(optuna_id, key, value)
        values = None
        if best is not None and state is TrialState.COMPLETE:
            values = [best if goal == VEER else history.costs[goal] for goal in self._goals]
        # Last: Optuna refuses attributes of a trial that has ended.
        self._storage.set_trial_state_values(optuna_id, state, values)

    def _reject(self, record: InfeasibleSuggestion) -> None:
        violations = [Violation(**dict(violation)) for violation in record.violations]
        frozen = self._frozen(
            "an infeasible suggestion",
            record,
            state=TrialState.PRUNED,
            constraints={violation.limit: violation.excess for violation in violations},
            user_attrs={"infeasible": "; ".join(map(str, violations))},
        )
        frozen.datetime_complete = frozen.datetime_start
        self._storage.create_new_trial(self._id, template_trial=frozen)

    def _frozen(self, what: str, record: _Suggestion, **fields: Any) -> FrozenTrial:
        """Return a trial of Optuna's that started when the record was written.

        Args:
            what: What it is, for messages.
            record: The record of the suggestion.
            **fields: More arguments of `optuna.trial.create_trial`.
        """
        params = record.params
        unknown = params.keys() - self._distributions.keys()
        if unknown:
            raise RunError(f"{what} has {sorted(unknown)}, which the space lacks")
        known = {name: self._distributions[name] for name in params}
        try:
            frozen = optuna.trial.create_trial(params=dict(params), distributions=known, **fields)
        except ValueError as error:
            raise RunError(f"{what} does not fit the space: {error}") from error
        # In local time without a zone, as all datetimes of Optuna's trials.
        frozen.datetime_start = datetime.fromtimestamp(record.time_s)
        return frozen

    def _set_trial_attributes(self, optuna_id: int, attributes: UserAttributes) -> None:
        for name, value in attributes.items():
            self._storage.set_trial_user_attr(optuna_id, name, value)

    def _set_study_attributes(self, attributes: UserAttributes) -> None:
        for name, value in attributes.items():
            self.study.set_user_attr(name, value)
