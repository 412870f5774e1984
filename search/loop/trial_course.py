"""One trial of a search so far, and how far a search goes."""

import math
from dataclasses import dataclass, field

from results.analysis.rungs import AT_RUNG
from results.journal.history import median_of_last
from results.journal.journal import EndState
from search.config.sections import FollowUpPlan
from search.loop.early_stopping import Verdict
from search.loop.shares import RaisedShare
from search.suggest.suggestions import Suggestion
from trainable.config.trial_config import TrialConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happened to a trial and says nothing of its config.

    Attributes:
        kind: One of `results.journal.journal.FAULT_KINDS`.
        message: What is known of it, in a line.
    """

    kind: str
    message: str


@dataclass(slots=True, kw_only=True)
class TrialCourse:
    """One trial so far.

    Attributes:
        trial: Its number, from 0.
        suggestion: What it tries.
        config: The same as a checked config.
        veer_pct: VEER in percent by epoch; NaN where it could not be measured.
        verdict: What early stopping said last.
        state: How it ended, None while unfinished.
        is_running: Whether it was handed out in this process and has not come back.
        raised: What it is given since it ran out of memory, None before.
        faults: Those since its last new epoch that count against its retries.
        follow_up: Why the search runs it after its own, `repeat` or `control`; None for its own.
        follows: The trial whose config a follow-up has.
    """

    trial: int
    suggestion: Suggestion
    config: TrialConfig
    veer_pct: dict[int, float] = field(default_factory=dict)
    verdict: Verdict | None = None
    state: EndState | None = None
    is_running: bool = False
    raised: RaisedShare | None = None
    faults: list[Fault] = field(default_factory=list)
    follow_up: str | None = None
    follows: int | None = None

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return max(self.veer_pct, default=0)

    @property
    def measured(self) -> dict[int, float]:
        """VEER in percent of the epochs that have one."""
        return {epoch: value for epoch, value in self.veer_pct.items() if math.isfinite(value)}

    @property
    def best_veer_pct(self) -> float | None:
        """Lowest VEER so far, percent."""
        return min(self.measured.values(), default=None)

    @property
    def median_veer_pct(self) -> float | None:
        """Median VEER of its last epochs, percent."""
        return median_of_last([veer_pct for _, veer_pct in sorted(self.measured.items())])


def follow_up_trial(followed: TrialCourse, trial: int, kind: str, seed: int) -> TrialCourse:
    """A follow-up of a trial, not yet begun.

    Args:
        followed: The trial whose config it has.
        trial: Its own number.
        kind: `repeat` or `control`.
        seed: Its own.
    """
    return TrialCourse(
        trial=trial,
        suggestion=followed.suggestion,
        config=followed.config.model_copy(update={"seed": seed}),
        follow_up=kind,
        follows=followed.trial,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Where a search ends.

    Attributes:
        num_trials: The search's own trials in all.
        max_epochs: Epochs of a trial that nothing stops.
        time_limit_s: Seconds after which no epoch is started; None for no limit.
        target_pct: VEER at which the search has what it was to find, percent; None for no end
            before the last trial's.
        total_epochs: Epochs of its own trials together after which the search ends; None for no
            end.
        follow_ups: What is run after its own trials, whatever ended them.
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
    """State and reason with which a trial ends after its last epoch, None where it goes on.

    Follow-ups go on whatever the others did: they are there to be compared at their ends.

    Args:
        course: The trial, unfinished.
        budget: Where the search ends.
        met_by: The trial that met the target, None before.
        is_spent: Whether the search has had all its epochs.
    """
    if math.isnan(course.veer_pct.get(course.epoch, 0.0)):
        return "diverged", f"the VEER of epoch {course.epoch} is not a number"
    if course.epoch >= budget.max_epochs:
        return "complete", None
    if course.follow_up is not None:
        return None
    if met_by is not None:
        return "stopped_early", f"trial {met_by} met the target of {budget.target_pct:g} %"
    if course.verdict is not None and course.verdict.stop:
        return "stopped_early", _reason(course.verdict)
    if is_spent:
        return "stopped_early", f"the search has had its {budget.total_epochs} epochs"
    return None


def _reason(verdict: Verdict) -> str:
    return f"VEER above {verdict.cutoff_pct:.2f} %, {AT_RUNG} {verdict.rung:g}"
