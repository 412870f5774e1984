"""Which trial is best: by its repeats with other seeds, where there are any, else by its VEER."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Protocol, TypeVar

from results.analysis.faults import counted
from results.journal.history import LAST_EPOCHS, REPEAT, UNRANKED, TrialHistory
from spaces.files.errors import RunError


class Rankable(Protocol):
    """What trials are ranked by; a `TrialHistory`, and a trial while its search leads it."""

    @property
    def trial(self) -> int:
        """Its number."""

    @property
    def state(self) -> str | None:
        """How it ended."""

    @property
    def best_veer_pct(self) -> float | None:
        """Lowest VEER of its epochs, percent."""

    @property
    def median_veer_pct(self) -> float | None:
        """Median VEER of its last epochs, percent."""

    @property
    def follow_up(self) -> str | None:
        """`repeat` or `control`; None for the search's own trials."""

    @property
    def follows(self) -> int | None:
        """The trial that a follow-up follows."""


AnyTrial = TypeVar("AnyTrial", bound=Rankable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """What a finalist's config gave with other seeds.

    Attributes:
        veer_pct: Median VEER of the last five epochs of each complete repeat, percent; at least
            one.
        num_lost: Repeats that failed or diverged, and so are not in the mean.
    """

    veer_pct: tuple[float, ...]
    num_lost: int = 0

    @property
    def mean_pct(self) -> float:
        """Their mean, percent."""
        return fmean(self.veer_pct)

    @property
    def sd_pct(self) -> float | None:
        """Their standard deviation (n - 1), percent; None of a single one."""
        return stdev(self.veer_pct) if len(self.veer_pct) > 1 else None


def repeats_of(trials: Iterable[Rankable]) -> dict[int, Repeats]:
    """The repeats of each finalist that has a complete one, by its number."""
    complete: dict[int, list[float]] = {}
    lost: dict[int, int] = {}
    for trial in trials:
        if trial.follow_up != REPEAT or trial.follows is None:
            continue
        if trial.state == "complete" and trial.median_veer_pct is not None:
            complete.setdefault(trial.follows, []).append(trial.median_veer_pct)
        elif trial.state in UNRANKED:
            lost[trial.follows] = lost.get(trial.follows, 0) + 1
    return {
        number: Repeats(veer_pct=tuple(veer_pct), num_lost=lost.get(number, 0))
        for number, veer_pct in complete.items()
    }


def ranked(trials: Iterable[AnyTrial]) -> list[AnyTrial]:
    """The search's own trials with a VEER, the best first; failed and diverged ones are left out.

    Those whose config was repeated with other seeds come first, by the mean of the complete
    repeats; the others follow by their lowest VEER, which is the luckiest epoch's of a trial that
    was chosen for it, and so is not comparable with a mean. Follow-ups themselves have no rank.
    """
    trials = list(trials)
    repeats = repeats_of(trials)

    def place(trial: AnyTrial) -> tuple[bool, float, int]:
        own = repeats.get(trial.trial)
        veer_pct = trial.best_veer_pct if own is None else own.mean_pct
        return own is None, 0.0 if veer_pct is None else veer_pct, trial.trial

    return sorted((trial for trial in trials if may_rank(trial)), key=place)


def may_rank(trial: Rankable) -> bool:
    """Whether a trial has a rank: the search's own, with a VEER, neither failed nor diverged."""
    has_veer = trial.best_veer_pct is not None
    return has_veer and trial.follow_up is None and trial.state not in UNRANKED


def best_ended(trials: Iterable[TrialHistory], most: int) -> list[TrialHistory]:
    """The best trials of those that ended, the best first.

    Raises:
        RunError: None has ended with a VEER, or `most` is below 1.
    """
    if most < 1:
        raise RunError(f"the number of trials must be at least 1, got {most}")
    ended = [trial for trial in ranked(trials) if trial.ended is not None]
    if not ended:
        raise RunError("no trial of this run has ended with a VEER yet")
    return ended[:most]


def mean_in_words(repeats: Repeats) -> str:
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
    return f"by the mean of {many}: {mean_in_words(repeats)}{lost}"


def repeat_remarks(trials: Sequence[TrialHistory]) -> list[str]:
    """A line on the repeats of a run, and which trial they have made the best; none without."""
    repeats, order = repeats_of(trials), ranked(trials)
    if not repeats:
        return []
    figures = [
        f"trial {trial.trial} {mean_in_words(repeats[trial.trial])} of {len(each.veer_pct)}"
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
