"""What stands below each chart's title: of this run's picture, nothing that it has not.

A function a chart, by the chart's name. Each is for a run of which the chart is drawn.
"""

from collections.abc import Iterable

from results.figures.loss_shares import MOST_TRIALS, shares_of
from results.figures.spans import schedule_of
from results.figures.veer_by_cost import MOST_BARS, SAME_LATENCY, highs_of
from results.journal.history import TrialHistory
from results.tables.run_view import RunView, interval_of


def learning_curves(view: RunView) -> str:
    """Grey curves and rungs only where there are some."""
    drawn = [trial for trial in view.histories if trial.best is not None]
    last = max((max(trial.epochs) for trial in drawn), default=0)
    said = "Validation EER by epoch, a line a trial"
    if _has_stopped(drawn):
        said += "; grey ones were stopped early"
        said += ", at the rungs marked" * any(rung <= last for rung in view.rungs)
    return f"{said}."


def veer_by_latency(view: RunView) -> str:
    """The front is one of the benchmarked alone."""
    drawn = [trial for trial in view.ranked if trial.trial in view.speeds]
    said = "What the one benchmarked student costs on a CPU."
    if len(drawn) > 1:
        said = (
            f"What the {len(drawn)} benchmarked students cost on a CPU; none of these is both "
            f"faster and better than one on the front (times within "
            f"{SAME_LATENCY * 100:g} % of each other count as equal)."
        )
    if highs_of(view) and len(view.ranked) <= MOST_BARS:
        said += " Bars to the right end where 95 % of the calls were done."
    return f"{said}{_bars_in_words(view, drawn)}"


def veer_by_parameters(view: RunView) -> str:
    """With bars only where there are intervals."""
    drawn = [trial for trial in view.ranked if (trial.last or {}).get("num_params")]
    return (
        "What each student's size buys; no trial is both smaller and better than one on the "
        f"front.{_bars_in_words(view, drawn)}"
    )


def parallel_coordinates(view: RunView) -> str:
    """Grey lines only where trials were stopped."""
    said = "Every trial as a line through its parameters; the colour is its VEER."
    if _has_stopped(view.ranked):
        said += " Stopped trials are grey: theirs is not one of the end."
    return said


def importance(view: RunView) -> str:
    """By how many trials."""
    num = sum(trial.state == "complete" and trial.best is not None for trial in view.own)
    return (
        f"How much of the VEER's variance over the {num} complete trials each parameter explains "
        "(fANOVA); lines are the spread over trials drawn anew."
    )


def slices(view: RunView) -> str:
    """Open circles only where trials were stopped."""
    said = "VEER against each parameter that varied"
    return f"{said}; open circles were stopped early." if _has_stopped(view.ranked) else f"{said}."


def loss_shares(view: RunView) -> str:
    """Of how many trials."""
    num = min(sum(bool(shares_of(trial)) for trial in view.ranked), MOST_TRIALS)
    which = "trial" if num == 1 else f"{num} trials"
    return f"What the training loss of the best {which} was made of, by epoch."


def det_curves(view: RunView) -> str:
    """With the teacher only where its scores were kept."""
    return (
        "Wrongly rejected against wrongly accepted validation pairs at every threshold, for the "
        f"best trials{_and_teacher(view)}; circles are their EER."
    )


def score_histograms(view: RunView) -> str:
    """With the teacher only where its scores were kept."""
    return (
        "How far the scores of validation pairs of one speaker lie from those of two, for the "
        f"best trial{_and_teacher(view)}; the line is the threshold of the EER."
    )


def timeline(view: RunView) -> str:
    """Crosses and dashed lines only where there were faults and pauses."""
    schedule = schedule_of(view)
    said = "Which trial trained where and when; gaps are set-up or waiting"
    said += ", crosses faults" * bool(schedule.faults)
    said += ", dashed lines pauses of the search" * bool(schedule.pauses)
    return f"{said}."


def _has_stopped(trials: Iterable[TrialHistory]) -> bool:
    return any(trial.state == "stopped_early" for trial in trials)


def _bars_in_words(view: RunView, drawn: Iterable[TrialHistory]) -> str:
    """What upright bars are, as the chart draws them."""
    having = [trial for trial in drawn if interval_of(trial) is not None]
    if len(view.ranked) > MOST_BARS:
        return " The best one's bar is its 95 % interval." * (view.best in having)
    return " Upright bars are 95 % intervals." * bool(having)


def _and_teacher(view: RunView) -> str:
    return "" if view.teacher_scores is None else " and the teacher"
