"""The decisions of a search: which trial is next, what a result means, when the search ends.

Every result and fault that Ray reports goes through here, and is written to the journal before it
takes effect. So a search can be rebuilt from its journal, and be run without Ray.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from results.journal.journal import Journal
from results.records.record import Record
from results.records.record_values import EndState
from results.records.search_records import GraceChanged, InfeasibleSuggestion, RepeatedSuggestion
from results.records.trial_records import (
    EpochEnded,
    InfrastructureFault,
    TrialEnded,
    TrialPlaced,
    TrialStarted,
)
from search.loop.early_stopping import SuccessiveHalving
from search.loop.fault_ledger import FaultLedger
from search.loop.follow_ups import FollowUp, FollowUpCandidate, due_follow_ups
from search.loop.proposals import Proposals
from search.loop.retry_failed import without_lapsed
from search.loop.shares import RaisedShare
from search.loop.state import SearchState
from search.loop.trial_course import Budget, Fault, TrialCourse, end_after_epoch, follow_up_trial
from trainable.machine.memory_share import OUT_OF_MEMORY


def _any(course: TrialCourse) -> bool:
    del course
    return True


class Coordinator(SearchState):
    """Hands out the trials of a search and takes their results.

    Args:
        proposals: New and unused; a resumed search replays its journal into them.
        early_stopping: New and unused, for the same reason.
        journal: Receives every record before it takes effect.
        budget: The limits of the search.
        ledger: Counter of faults, new and unused; None for default limits.
        clock: Returns seconds; only differences are used.

    Attributes:
        ledger: The faults so far.
    """

    def __init__(
        self,
        proposals: Proposals,
        early_stopping: SuccessiveHalving,
        journal: Journal,
        *,
        budget: Budget,
        ledger: FaultLedger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(budget, clock)
        self.ledger = ledger or FaultLedger(journal)
        self._proposals = proposals
        self._early_stopping = early_stopping
        self._journal = journal
        # Trials that were started, and are to be handed out again before any new one.
        self._waiting: list[int] = []
        # None until all of the search's own trials have ended: finalists are not known before.
        self._remaining: deque[FollowUp] | None = None

    @property
    def exhausted(self) -> str | None:
        """Why no new trial can be proposed, None while one may be."""
        return self._proposals.exhausted

    @property
    def due(self) -> Sequence[FollowUp]:
        """Follow-ups not yet started; empty until the search's own trials have all ended."""
        if not self.own_trials_ended:
            return ()
        if self._remaining is None:
            trials = [FollowUpCandidate.from_trial(trial) for trial in self.trials]
            self._remaining = deque(due_follow_ups(trials, self.budget.follow_ups))
        return self._remaining

    @property
    def is_finished(self) -> bool:
        """Whether every trial has ended, and no other will be started."""
        return self.own_trials_ended and not self._unfinished() and not self.due

    @property
    def own_trials_ended(self) -> bool:
        """Whether the search's own trials have all ended, and no other of them will be started."""
        own = self.own_trials
        is_last = (
            len(own) >= self.budget.num_trials
            or self.exhausted is not None
            or self.met_by is not None
            or self.is_spent
        )
        return is_last and all(trial.state is not None for trial in own)

    def replay(self, records: Iterable[Record]) -> None:
        """Restore an earlier run from its journal; unfinished trials are handed out first.

        Raises:
            RunError: The journal has values that are not in the space.
        """
        for record in without_lapsed(tuple(records)):
            match record:
                case TrialStarted() if record.trial == len(self.trials):
                    self.trials.append(self._restore_trial(record))
                case InfeasibleSuggestion() | RepeatedSuggestion():
                    self._proposals.restore_rejected(record, self.trials)
                case EpochEnded():
                    self._apply_epoch(record)
                case GraceChanged():
                    self._early_stopping.take_grace(record)
                case InfrastructureFault():
                    self.ledger.restore(self.trials[record.trial], record)
                case TrialEnded():
                    self._apply_end(record.trial, record.state)
        # A process that died after an epoch's record left open what follows from it.
        self._settle_grace()
        for trial in self._unfinished():
            if not self._end_if_due(trial):
                self._waiting.append(trial)

    def next_trial(self, fits: Callable[[TrialCourse], bool] = _any) -> TrialCourse | None:
        """Return the next trial to run that `fits`, None if none does or the search is halted."""
        if self.is_out_of_time:
            self.halt("time_limit")
        if self.halted is not None:
            return None
        # Before any new trial: suggestions depend on the results so far, so a resumed search would
        # otherwise draw others than one that was not interrupted.
        for course in [each for each in map(self.trials.__getitem__, self._waiting) if fits(each)]:
            self._waiting.remove(course.trial)
            # Another trial may have met the target while this one waited.
            if not self._end_if_due(course.trial):
                return self._hand_out(course)
        begun = self._next_own_trial() or self._next_follow_up()
        if begun is None:
            return None
        self._journal.append(begun.start_record())
        self.trials.append(begun)
        return self._hand_out(begun)

    def _next_own_trial(self) -> TrialCourse | None:
        if self.met_by is not None or self.is_spent:
            return None
        if len(self.own_trials) >= self.budget.num_trials:
            # Points that repeat earlier ones become no trial, so they may follow the last one.
            self._proposals.record_repeats()
            return None
        return self._proposals.propose(len(self.trials))

    def _next_follow_up(self) -> TrialCourse | None:
        if not self.due or self._remaining is None:
            return None
        due = self._remaining.popleft()
        return follow_up_trial(self.trials[due.follows], len(self.trials), due.kind, due.seed)

    def _restore_trial(self, record: TrialStarted) -> TrialCourse:
        if record.follow_up is None or record.follows is None:
            return self._proposals.restore(record)
        followed = self.trials[record.follows]
        return follow_up_trial(followed, record.trial, record.follow_up, record.seed)

    def report(
        self, trial: int, epoch: int, veer_pct: float | None, fields: Mapping[str, Any]
    ) -> bool:
        """Record the result of one epoch and decide whether the trial goes on.

        A restarted trial may report an epoch a second time; the second report changes nothing.

        Args:
            trial: The trial's number.
            epoch: Epochs finished, from 1.
            veer_pct: VEER after the epoch, percent; None if it was not evaluated.
            fields: The rest of the report, for the journal.

        Returns:
            Whether the trial goes on. A trial that is stopped by a halt stays unfinished.
        """
        course = self.trials[trial]
        if course.state is None and epoch not in course.veer_pct:
            record = EpochEnded(trial=trial, epoch=epoch, veer_pct=veer_pct, **fields)
            self._journal.append(record)
            self._apply_epoch(record)
            self._settle_grace()
            self.num_reported += 1
        if self.is_out_of_time:
            self.halt("time_limit")
        goes_on = not self._end_if_due(trial) and self.halted is None
        course.is_running = goes_on
        return goes_on

    def end(self, trial: int, state: EndState, reason: str | None) -> None:
        """End a trial; a second call for the same trial changes nothing."""
        course = self.trials[trial]
        course.is_running = False
        if course.state is None:
            self._journal.append(TrialEnded(trial=trial, state=state, reason=reason))
            self._apply_end(trial, state)
            if why := self.ledger.record_end(trial, state, reason):
                self.halt("failing", why)

    def fault(self, trial: int, kind: str, message: str) -> None:
        """Take a trial back after a fault: it is handed out again, or ends as failed.

        Args:
            trial: The trial's number.
            kind: One of `results.records.trial_records.FAULT_KINDS`.
            message: Description of the fault, one line.
        """
        course = self.trials[trial]
        course.is_running = False
        if course.state is None:
            self.ledger.note(course, Fault(kind=kind, message=message))
            if not self._end_if_due(trial):
                self._waiting.append(trial)

    def out_of_memory(self, trial: int, raised: RaisedShare, message: str) -> None:
        """Take a trial back that ran out of memory, to hand it out again with a larger share.

        The config is not the cause, so no sampler gets it. The trial keeps its finished epochs.

        Args:
            trial: The trial's number.
            raised: Its share from now on.
            message: Which memory ran out, one line.
        """
        course = self.trials[trial]
        course.is_running = False
        if course.state is None:
            self.ledger.note(course, Fault(kind=OUT_OF_MEMORY, message=message), raised)
            self._waiting.append(trial)

    def record_placement(self, trial: int, placement: Mapping[str, Any]) -> None:
        """Record the node and device on which a trial was started or restarted.

        Args:
            trial: The trial's number.
            placement: Fields of the `placed` record, as the trial's worker reports them.
        """
        epoch = self.trials[trial].epoch
        self._journal.append(TrialPlaced(trial=trial, epoch=epoch, **placement))

    def note(self, trial: int, fault: Fault) -> None:
        """Record a fault of a running trial, which runs on: see `NO_RETRY`."""
        self.ledger.note(self.trials[trial], fault)

    def _apply_epoch(self, record: EpochEnded) -> None:
        """Pass an epoch to study and early stopping; `_end_if_due` handles one without a VEER."""
        trial, epoch = record.trial, record.epoch
        course = self.trials[trial]
        if epoch in course.veer_pct:
            return
        # Faults count since the last new epoch: see `search.loop.fault_ledger`.
        course.faults.clear()
        if course.follow_up is None:
            self._num_epochs += 1
        course.add_epoch(record)
        # A repeat or control must not change what the search itself would have done.
        if course.follow_up is not None or epoch not in course.decisions:
            return
        self._proposals.report(course, epoch)
        target_pct = self.budget.target_pct
        if self.met_by is None and target_pct is not None and course.measured[epoch] <= target_pct:
            self.met_by = trial
        figure_pct, costs = course.decisions[epoch], course.outcome[1]
        course.verdict = self._early_stopping.decide(trial, epoch, figure_pct, costs)

    def _settle_grace(self) -> None:
        """Record and make the changes that the rungs require of `grace_epochs: auto`."""
        while (change := self._early_stopping.due_grace()) is not None:
            self._early_stopping.take_grace(self._journal.append(change))

    def _end_if_due(self, trial: int) -> bool:
        """End the trial if its last epoch or its faults require it; return whether it ended."""
        course = self.trials[trial]
        if course.state is not None:
            return True
        if found := end_after_epoch(course, self.budget, self.met_by, is_spent=self.is_spent):
            self.end(trial, *found)
        elif reason := self.ledger.failure(course):
            self.end(trial, "failed", reason)
        return course.state is not None

    def _apply_end(self, trial: int, state: EndState) -> None:
        course = self.trials[trial]
        if course.state is not None:
            return
        course.state = state
        if course.follow_up is None:
            self._proposals.end(course, state)
