"""The course of a search: what to try next, what each result means, when to end.

Everything that Ray tells goes through here, and everything is written to the journal before it
takes effect, so a search can be rebuilt from its journal and driven without Ray.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from results.journal.journal import EndState, HaltReason, Journal, Record
from search.loop.early_stopping import SuccessiveHalving
from search.loop.fault_ledger import FaultLedger
from search.loop.follow_ups import FollowUp, FollowUpCandidate, due_follow_ups
from search.loop.proposals import Proposals
from search.loop.retry_failed import without_lapsed
from search.loop.shares import RaisedShare
from search.loop.state import SearchState
from search.loop.trial_course import Budget, Fault, TrialCourse, end_after_epoch, follow_up_trial
from trainable.machine.memory_share import OUT_OF_MEMORY


class Coordinator(SearchState):
    """Leads a search from result to result.

    Args:
        proposals: Fresh; a resumed search replays its journal into them.
        early_stopping: Fresh, likewise.
        journal: Where everything is written first.
        budget: Where the search ends.
        ledger: What counts faults; fresh, likewise.
        clock: Seconds; only differences count.

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
        self._waiting: list[int] = []
        # Known once all of the search's own trials have ended.
        self._due: deque[FollowUp] | None = None

    @property
    def exhausted(self) -> str | None:
        """Why there is nothing more to try, None while there may be."""
        return self._proposals.exhausted

    @property
    def due(self) -> Sequence[FollowUp]:
        """Follow-ups to be begun; none before the search's own trials have all ended."""
        if not self.own_trials_ended:
            return ()
        if self._due is None:
            trials = [FollowUpCandidate.from_trial(trial) for trial in self.trials]
            self._due = deque(due_follow_ups(trials, self.budget.follow_ups))
        return self._due

    @property
    def is_finished(self) -> bool:
        """Whether every trial has ended, and there is no more to come."""
        return self.own_trials_ended and not self._unfinished() and not self.due

    @property
    def own_trials_ended(self) -> bool:
        """Whether the search's own trials have all ended, and no more of them are to come."""
        own = self.own_trials
        is_last = (
            len(own) >= self.budget.num_trials
            or self.exhausted is not None
            or self.met_by is not None
            or self.is_spent
        )
        return is_last and all(trial.state is not None for trial in own)

    def replay(self, records: Iterable[Record]) -> None:
        """Takes over an earlier run from its journal; unfinished trials are handed out first.

        Raises:
            RunError: The journal holds values that the space does not.
        """
        for record in without_lapsed(tuple(records)):
            match record["event"]:
                case "trial_started" if record["trial"] == (number := len(self.trials)):
                    self.trials.append(self._restored(record, number))
                case "infeasible" | "repeated":
                    self._proposals.restore_rejected(record, self.trials)
                case "epoch":
                    self._take(record["trial"], record["epoch"], record["veer_pct"])
                case "infrastructure":
                    self.ledger.restore(self.trials[record["trial"]], record)
                case "trial_ended":
                    self._settle(record["trial"], record["state"])
        for trial in self._unfinished():
            if not self._conclude(trial):
                self._waiting.append(trial)

    def next_trial(self) -> TrialCourse | None:
        """The next trial to run, None when there is none or the search is halted."""
        self._watch_the_clock()
        if self.halted is not None:
            return None
        while self._waiting:
            course = self.trials[self._waiting.pop(0)]
            if not self._conclude(course.trial):
                return self._handed_out(course)
        begun = self._own_trial() or self._follow_up()
        if begun is None:
            return None
        follows = {"follow_up": begun.follow_up, "follows": begun.follows}
        self._journal.append(
            "trial_started",
            trial=begun.trial,
            params=begun.suggestion.params,
            config=begun.config.canonical(),
            config_hash=begun.config.config_hash(),
            seed=begun.config.seed,
            **({} if begun.follow_up is None else follows),
        )
        self.trials.append(begun)
        return self._handed_out(begun)

    def _own_trial(self) -> TrialCourse | None:
        if self.met_by is not None or self.is_spent:
            return None
        if len(self.own_trials) >= self.budget.num_trials:
            self._proposals.record_repeats()
            return None
        return self._proposals.propose(len(self.trials))

    def _follow_up(self) -> TrialCourse | None:
        if not self.due or self._due is None:
            return None
        due = self._due.popleft()
        return follow_up_trial(self.trials[due.follows], len(self.trials), due.kind, due.seed)

    def _restored(self, record: Record, number: int) -> TrialCourse:
        if "follow_up" not in record:
            return self._proposals.restore(record, number)
        followed = self.trials[record["follows"]]
        return follow_up_trial(followed, number, record["follow_up"], record["seed"])

    def report(self, trial: int, epoch: int, veer_pct: float, fields: Mapping[str, Any]) -> bool:
        """Takes one epoch's result.

        An epoch that was reported before, as a restarted trial does, changes nothing.

        Args:
            trial: Its number.
            epoch: From 1.
            veer_pct: VEER after the epoch, percent.
            fields: The rest of the report, for the journal.

        Returns:
            Whether the trial is to go on. A trial that a halt stops stays unfinished.
        """
        course = self.trials[trial]
        if course.state is None and epoch not in course.veer_pct:
            self._journal.append("epoch", trial=trial, epoch=epoch, veer_pct=veer_pct, **fields)
            self._take(trial, epoch, veer_pct)
            self.num_reported += 1
        self._watch_the_clock()
        goes_on = not self._conclude(trial) and self.halted is None
        course.is_running = goes_on
        return goes_on

    def end(self, trial: int, state: EndState, reason: str | None) -> None:
        """Ends a trial; ending it twice is harmless."""
        course = self.trials[trial]
        course.is_running = False
        if course.state is None:
            self._journal.append("trial_ended", trial=trial, state=state, reason=reason)
            self._settle(trial, state)
            if why := self.ledger.ended(trial, state, reason):
                self.halt("failing", why)

    def fault(self, trial: int, kind: str, message: str) -> None:
        """Takes a trial back after a fault, to be handed out again, or to end as failed.

        Args:
            trial: Its number.
            kind: One of `results.journal.journal.FAULT_KINDS`.
            message: What happened, in a line.
        """
        course = self.trials[trial]
        course.is_running = False
        if course.state is None:
            self.ledger.note(course, Fault(kind=kind, message=message))
            if not self._conclude(trial):
                self._waiting.append(trial)

    def out_of_memory(self, trial: int, raised: RaisedShare, message: str) -> None:
        """Takes a trial back, to be handed out again with a larger share.

        Nobody else is told: it says nothing about the config. What the trial has done stands.

        Args:
            trial: Its number.
            raised: What it is given from now on.
            message: What ran out.
        """
        course = self.trials[trial]
        course.is_running = False
        if course.state is None:
            self.ledger.note(course, Fault(kind=OUT_OF_MEMORY, message=message), raised)
            self._waiting.append(trial)

    def place(self, trial: int, place: Mapping[str, Any]) -> None:
        """Notes where a trial was begun, or begun again.

        Args:
            trial: Its number.
            place: As `trainable.training.ray_trial` reports it.
        """
        self._journal.append("placed", trial=trial, epoch=self.trials[trial].epoch, **place)

    def note_damage(self, trial: int, message: str) -> None:
        """Notes that a checkpoint of a running trial could not be used.

        Args:
            trial: Its number.
            message: Which, and what was done instead.
        """
        fault = Fault(kind="checkpoint_damaged", message=message)
        self.ledger.note(self.trials[trial], fault)

    def halt(self, reason: HaltReason, message: str = "") -> None:
        """Hands out no trial and starts no epoch from now on; the first reason counts."""
        if self.halted is None:
            self.halted, self.halt_message = reason, message

    def _take(self, trial: int, epoch: int, veer_pct: float | None) -> None:
        """Tells study and early stopping; an epoch without a VEER is left to `_conclude`."""
        course = self.trials[trial]
        if epoch in course.veer_pct:
            return
        course.faults.clear()
        if course.follow_up is None:
            self._num_epochs += 1
        if veer_pct is None or not math.isfinite(veer_pct):
            course.veer_pct[epoch] = math.nan
            return
        course.veer_pct[epoch] = veer_pct
        if course.follow_up is not None:
            return
        self._proposals.report(course, epoch, veer_pct)
        target_pct = self.budget.target_pct
        if self.met_by is None and target_pct is not None and veer_pct <= target_pct:
            self.met_by = trial
        course.verdict = self._early_stopping.decide(trial, epoch, veer_pct)

    def _conclude(self, trial: int) -> bool:
        """Ends the trial if its last epoch says so; returns whether it has ended."""
        course = self.trials[trial]
        if course.state is not None:
            return True
        if found := end_after_epoch(course, self.budget, self.met_by, is_spent=self.is_spent):
            self.end(trial, *found)
        elif reason := self.ledger.failure(course):
            self.end(trial, "failed", reason)
        return course.state is not None

    def _settle(self, trial: int, state: EndState) -> None:
        course = self.trials[trial]
        if course.state is not None:
            return
        course.state = state
        if course.follow_up is None:
            self._proposals.end(course, state)

    def _watch_the_clock(self) -> None:
        limit_s = self.budget.time_limit_s
        if limit_s is not None and self.elapsed_s >= limit_s:
            self.halt("time_limit")
