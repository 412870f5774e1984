"""Captions of the charts: what a chart of one run shows.

There is one function per chart. A caption mentions only what the chart of this run contains, and
may be asked for only where the chart is drawn.
"""

from collections.abc import Iterable

from results.analysis.front_volume import front_volume
from results.analysis.run_view import RunView, interval_of
from results.figures.loss_shares import MAX_TRIALS, shares_of
from results.figures.spans import schedule_of
from results.figures.veer_by_cost import LATENCY_TOLERANCE, MAX_ERROR_BARS, p95_latencies_ms
from results.figures.veer_by_form import drawn_forms
from results.journal.goals import GOAL_NAMES
from results.journal.history import TrialHistory


def learning_curves_caption(view: RunView) -> str:
    """Mention stopped trials and rungs only where the chart has some."""
    drawn = [trial for trial in view.histories if trial.best is not None]
    last = max((max(trial.epochs) for trial in drawn), default=0)
    caption = "Validation EER by epoch, one line per trial"
    if _has_stopped(drawn):
        caption += "; grey lines are trials that were stopped early"
        caption += ", at the marked rungs" * any(rung <= last for rung in view.rungs)
    return f"{caption}."


def veer_by_goal_caption(view: RunView) -> str:
    """Mention bars only where trials have intervals."""
    third = ", of these two goals alone" if len(view.goals) > 2 else ""
    return (
        "VEER and cost of each student, measured before it was trained. No trial is both cheaper "
        f"and better than a trial on the front{third}.{_interval_sentence(view, view.ranked)}"
    )


def volume_caption(view: RunView) -> str:
    """State the reference."""
    volume = front_volume(view.own, view.records, view.goals)
    reference = {} if volume is None else volume.reference
    ends = ", ".join(
        f"{GOAL_NAMES[goal]} {reference[goal]:,.4g}" for goal in view.goals if goal in reference
    )
    return (
        f"Share of the volume from 0 to {ends} that the trials so far dominate together: the end "
        "is chance, and the highest cost of all trials."
    )


def veer_by_latency_caption(view: RunView) -> str:
    """Mention the front only where two trials or more were benchmarked."""
    drawn = [trial for trial in view.ranked if trial.trial in view.speeds]
    caption = "VEER and CPU latency of the one benchmarked student."
    if len(drawn) > 1:
        caption = (
            f"VEER and CPU latency of the {len(drawn)} benchmarked students. None of them is both "
            f"faster and better than a student on the front (times within "
            f"{LATENCY_TOLERANCE * 100:g} % of each other count as equal)."
        )
    if p95_latencies_ms(view) and len(view.ranked) <= MAX_ERROR_BARS:
        caption += " Bars to the right end at the 95th percentile of the latency."
    return f"{caption}{_interval_sentence(view, drawn)}"


def veer_by_form_caption(view: RunView) -> str:
    """Mention the teacher and bars only where the chart has them."""
    points = drawn_forms(view)
    caption = "VEER and latency of each form of the best students"
    if not all(each.is_student for each in points):
        caption += " and of the teacher (stars)"
    bars = " Vertical bars are 95 % intervals." * any(each.interval for each in points)
    return f"{caption}; a larger mark is a larger file.{bars}"


def veer_by_parameters_caption(view: RunView) -> str:
    """Mention bars only where trials have intervals."""
    drawn = [trial for trial in view.ranked if trial.last is not None and trial.last.num_params]
    return (
        "VEER and size of each student. No trial is both smaller and better than a trial on the "
        f"front.{_interval_sentence(view, drawn)}"
    )


def parallel_coordinates_caption(view: RunView) -> str:
    """Mention grey lines only where trials were stopped."""
    caption = "Each trial is a line through its parameters; the colour shows its VEER."
    if _has_stopped(view.ranked):
        caption += (
            " Trials that were stopped early are grey, since theirs is not the VEER of a full "
            "training."
        )
    return caption


def importance_caption(view: RunView) -> str:
    """State the number of complete trials."""
    num = sum(trial.state == "complete" and trial.best is not None for trial in view.own)
    return (
        f"Share of the variance of the VEER over the {num} complete trials that each parameter "
        "explains (fANOVA). The thin lines are standard deviations over random resamples of the "
        "trials."
    )


def slices_caption(view: RunView) -> str:
    """Mention open circles only where trials were stopped."""
    caption = "VEER against each parameter that varied"
    if _has_stopped(view.ranked):
        caption += "; open circles are trials that were stopped early"
    return f"{caption}."


def loss_shares_caption(view: RunView) -> str:
    """State the number of trials in the chart."""
    num = min(sum(bool(shares_of(trial)) for trial in view.ranked), MAX_TRIALS)
    which = "trial" if num == 1 else f"{num} trials"
    return f"Share of each term in the training loss of the best {which}, by epoch."


def det_curves_caption(view: RunView) -> str:
    """Mention the teacher only where its scores were kept."""
    return (
        "False rejections against false acceptances of validation pairs at every threshold, for "
        f"the best trials{_and_teacher(view)}; circles mark the EER."
    )


def score_histograms_caption(view: RunView) -> str:
    """Mention the teacher only where its scores were kept."""
    return (
        "Scores of validation pairs of one speaker and of two speakers, for the best "
        f"trial{_and_teacher(view)}; the line is the threshold of the EER."
    )


def timeline_caption(view: RunView) -> str:
    """Mention faults and pauses only where the search had some."""
    schedule = schedule_of(view)
    caption = "Where and when each trial was trained; gaps are set-up or waiting"
    caption += ", crosses are faults" * bool(schedule.faults)
    caption += ", dashed lines are pauses of the search" * bool(schedule.pauses)
    return f"{caption}."


def _has_stopped(trials: Iterable[TrialHistory]) -> bool:
    return any(trial.state == "stopped_early" for trial in trials)


def _interval_sentence(view: RunView, drawn: Iterable[TrialHistory]) -> str:
    """Return a sentence on the vertical bars; empty where the chart has none."""
    having = [trial for trial in drawn if interval_of(trial) is not None]
    if len(view.ranked) > MAX_ERROR_BARS:
        return " The vertical bar of the best is its 95 % interval." * (view.best in having)
    return " Vertical bars are 95 % intervals." * bool(having)


def _and_teacher(view: RunView) -> str:
    return "" if view.teacher_scores is None else " and the teacher"
