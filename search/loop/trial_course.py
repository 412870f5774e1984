"""The course of one trial, the limits of a search, and the end that they mean for a trial.

A trial's course is what its coordinator knows of it: suggestion, config, VEER by epoch, faults,
and how it ended. "Course" distinguishes it from the trial's number, called `trial` everywhere.
"""

import math
from dataclasses import dataclass, field

from results.analysis.rungs import AT_RUNG
from results.journal.decision import BY_VEER, FIGURE_NAMES, DecisionKind, decision_pct
from results.journal.goals import cost_values
from results.journal.history import median_of_last
from results.records.record_values import EndState, FollowUpKind
from results.records.trial_records import EpochEnded, TrialStarted
from search.config.sections import FollowUpPlan
from search.loop.early_stopping import Verdict
from search.loop.shares import RaisedShare
from search.suggest.suggestions import Suggestion
from trainable.config.trial_config import TrialConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of a trial that its config did not cause.

    Attributes:
        kind: One of `results.records.trial_records.FAULT_KINDS`.
        message: Description of the fault, one line.
    """

    kind: str
    message: str


@dataclass(slots=True, kw_only=True)
class TrialCourse:
    """The course of one trial so far.

    Attributes:
        trial: The trial's number, from 0.
        suggestion: The suggestion that it runs.
        config: The suggestion as a checked config.
        decide_by: The figure by which the search compares it with other trials.
        costs: Its costs by goal; empty in a search with the one goal VEER.
        veer_pct: VEER in percent by epoch; NaN where it could not be measured, None where it was
            not to be.
        decisions: The figure that decides by epoch, percent, of the epochs with a VEER.
        verdict: The last decision of early stopping, None before the first.
        state: How the trial ended, None while unfinished.
        is_running: Whether it was handed out in this process and has not come back.
        raised: Its raised share since it ran out of memory, None before.
        faults: Faults since its last new epoch that count against its retries.
        follow_up: `repeat` or `control` for a follow-up, None for one of the search's own trials.
        follows: Number of the trial whose config a follow-up has, else None.
    """

    trial: int
    suggestion: Suggestion
    config: TrialConfig
    decide_by: DecisionKind = BY_VEER
    costs: dict[str, float] = field(default_factory=dict)
    veer_pct: dict[int, float | None] = field(default_factory=dict)
    decisions: dict[int, float] = field(default_factory=dict)
    verdict: Verdict | None = None
    state: EndState | None = None
    is_running: bool = False
    raised: RaisedShare | None = None
    faults: list[Fault] = field(default_factory=list)
    follow_up: FollowUpKind | None = None
    follows: int | None = None

    def add_epoch(self, record: EpochEnded) -> None:
        """Take the next epoch."""
        epoch, veer_pct = record.epoch, record.veer_pct
        if veer_pct is None or not math.isfinite(veer_pct):
            self.veer_pct[epoch] = None if record.is_unevaluated else math.nan
            return
        self.veer_pct[epoch] = veer_pct
        measured = list(self.measured.values())
        self.decisions[epoch] = decision_pct(self.decide_by, measured, record.dprime)

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return max(self.veer_pct, default=0)

    @property
    def measured(self) -> dict[int, float]:
        """VEER in percent of the epochs that have one."""
        return {
            epoch: value
            for epoch, value in self.veer_pct.items()
            if value is not None and math.isfinite(value)
        }

    @property
    def best_veer_pct(self) -> float | None:
        """Lowest VEER so far, percent."""
        return min(self.measured.values(), default=None)

    @property
    def best_decision_pct(self) -> float | None:
        """Lowest figure that decides so far, percent."""
        return min(self.decisions.values(), default=None)

    @property
    def outcome(self) -> tuple[float | None, tuple[float, ...]]:
        """The lowest figure that decides so far, percent, and the costs."""
        return self.best_decision_pct, cost_values(self.costs)

    @property
    def median_veer_pct(self) -> float | None:
        """Median VEER of its last epochs, percent."""
        return median_of_last([veer_pct for _, veer_pct in sorted(self.measured.items())])

    def start_record(self) -> TrialStarted:
        """Return the journal's record of its start, now."""
        return TrialStarted(
            trial=self.trial,
            params=self.suggestion.params,
            config=self.config.canonical(),
            config_hash=self.config.config_hash(),
            seed=self.config.seed,
            follow_up=self.follow_up,
            follows=self.follows,
            costs=self.costs or None,
            drawn_by=self.suggestion.drawn_by if self.follow_up is None else None,
        )


def follow_up_trial(
    followed: TrialCourse, trial: int, kind: FollowUpKind, seed: int
) -> TrialCourse:
    """Return a follow-up of a trial, not yet started.

    Args:
        followed: The trial whose config the follow-up has.
        trial: Number of the follow-up.
        kind: `repeat` or `control`.
        seed: Seed of the follow-up.
    """
    return TrialCourse(
        trial=trial,
        # Only for its parameters: a follow-up is never reported to the study.
        suggestion=followed.suggestion,
        config=followed.config.model_copy(update={"seed": seed}),
        decide_by=followed.decide_by,
        costs=followed.costs,
        follow_up=kind,
        follows=followed.trial,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits of a search.

    Attributes:
        num_trials: Number of the search's own trials.
        max_epochs: Epochs of a trial that is not stopped early.
        time_limit_s: Seconds after which no epoch is started; None for no limit.
        target_pct: VEER in percent that ends the search once a trial meets it; None for no target.
        total_epochs: Epochs of its own trials together after which the search ends; None for no
            limit.
        follow_ups: The follow-ups to run after its own trials, whichever limit ended these.
    """

    num_trials: int
    max_epochs: int
    time_limit_s: float | None = None
    target_pct: float | None = None
    total_epochs: int | None = None
    follow_ups: FollowUpPlan = field(default_factory=FollowUpPlan)


def end_after_epoch(
    course: TrialCourse, budget: Budget, met_by: int | None, *, is_spent: bool = False
) -> tuple[EndState, str | None] | None:
    """Return state and reason with which a trial ends after its last epoch, None if it goes on.

    Follow-ups end only at `max_epochs` or when they diverge: they are compared at their last
    epochs.

    Args:
        course: The trial, unfinished.
        budget: The limits of the search.
        met_by: Number of the trial that met the target, None before.
        is_spent: Whether the search has used all its epochs.
    """
    # First, since a trial that diverges in its last epoch is not complete.
    last_pct = course.veer_pct.get(course.epoch)
    if last_pct is not None and math.isnan(last_pct):
        return "diverged", f"the VEER of epoch {course.epoch} is not a number"
    # Before target and early stopping: they cut nothing short once all epochs are done.
    if course.epoch >= budget.max_epochs:
        return "complete", None
    if course.follow_up is not None:
        return None
    if met_by is not None:
        return "stopped_early", f"trial {met_by} met the target of {budget.target_pct:g} %"
    if course.verdict is not None and course.verdict.stop:
        return "stopped_early", _reason(course.verdict, course.decide_by)
    if is_spent:
        return "stopped_early", f"the search has had its {budget.total_epochs} epochs"
    return None


def _reason(verdict: Verdict, decide_by: DecisionKind) -> str:
    if verdict.among is not None:
        return f"{verdict.among.stop_in_words}, {AT_RUNG} {verdict.rung:g}"
    figure = FIGURE_NAMES[decide_by]
    return f"{figure} above {verdict.cutoff_pct:.2f} %, {AT_RUNG} {verdict.rung:g}"
