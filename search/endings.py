"""How a trial ends by what it has reported: the rule, without journal and sampler."""

import math

from results.analysis.rungs import AT_RUNG
from results.journal.journal import EndState
from search.loop.early_stopping import Verdict
from search.loop.trial_course import Budget, TrialCourse


def ending(
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
