"""What repeats with other seeds say of the best, in words."""

from collections.abc import Iterable, Sequence

from results.analysis.faults import counted
from results.analysis.ranking import Repeats, may_rank, ranked, repeats_of
from results.journal.history import LAST_EPOCHS, TrialHistory


def figure_of(repeats: Repeats) -> str:
    """`9.80 % ± 0.40`: mean and standard deviation, without the latter of one repeat."""
    spread = "" if repeats.sd_pct is None else f" ± {repeats.sd_pct:.2f}"
    return f"{repeats.mean_pct:.2f} %{spread}"


def why_best(trials: Iterable[TrialHistory]) -> str | None:
    """Why the first in rank is the first, None where no trial has a rank.

    `by the mean of 3 repeats: 9.80 % ± 0.40`, or `by its lowest VEER: 9.10 %`.
    """
    trials = list(trials)
    best = next(iter(ranked(trials)), None)
    if best is None:
        return None
    repeats = repeats_of(trials).get(best.trial)
    if repeats is None:
        return f"by its lowest VEER: {best.best_veer_pct:.2f} %"
    lost = f", {repeats.num_lost} more did not come to the end" if repeats.num_lost else ""
    many = counted(len(repeats.veer_pct), "repeat")
    return f"by the mean of {many}: {figure_of(repeats)}{lost}"


def repeat_remarks(trials: Sequence[TrialHistory]) -> list[str]:
    """A line on the repeats of a run, and which trial they have made the best; none without."""
    repeats, order = repeats_of(trials), ranked(trials)
    if not repeats:
        return []
    figures = [
        f"trial {trial.trial} {figure_of(repeats[trial.trial])} of {len(each.veer_pct)}"
        + (f" ({each.num_lost} lost)" if each.num_lost else "")
        for trial in order
        if (each := repeats.get(trial.trial)) is not None
    ]
    lines = [
        f"repeats with other seeds, the median VEER of their last {LAST_EPOCHS} epochs, mean ± "
        f"standard deviation: {'; '.join(figures)}"
    ]
    luckiest = min(
        (t.best_veer_pct, t.trial)
        for t in trials
        if may_rank(t) and t.best_veer_pct is not None
    )
    if luckiest[1] != order[0].trial:
        lines.append(
            f"the best is trial {order[0].trial} by its repeats; by the luckiest epoch, "
            f"{luckiest[0]:.2f} %, it would have been trial {luckiest[1]}"
        )
    return lines
