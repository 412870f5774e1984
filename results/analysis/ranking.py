"""The ranking of trials: by their repeats with other seeds where there are any.

A trial without repeats is ranked by the lowest of its epochs' figures that decide: the VEER, or
another one by the setting `decide_by`. The lowest figure of a trial that was selected for it is
optimistic: part of it is the luck of the seed and of the epoch. Repeats of the config with other
seeds do not have this bias, so a trial with repeats is ranked by the mean of their VEERs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Protocol, TypeVar

from results.journal.history import REPEAT, UNRANKED, TrialHistory
from spaces.files.errors import RunError


class Rankable(Protocol):
    """What trials are ranked by; a `TrialHistory` and a trial of a live search have it."""

    @property
    def trial(self) -> int:
        """Number of the trial."""

    @property
    def state(self) -> str | None:
        """The state in which it ended; None or `running` before."""

    @property
    def best_veer_pct(self) -> float | None:
        """Lowest VEER of its epochs, percent."""

    @property
    def best_decision_pct(self) -> float | None:
        """Lowest figure that decides of its epochs, percent."""

    @property
    def median_veer_pct(self) -> float | None:
        """Median VEER of its last `LAST_EPOCHS` epochs, percent."""

    @property
    def follow_up(self) -> str | None:
        """`repeat` or `control`; None for the search's own trials."""

    @property
    def follows(self) -> int | None:
        """Number of the trial that a follow-up follows; None for the search's own trials."""


RankableT = TypeVar("RankableT", bound=Rankable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """The results of a finalist's config with other seeds.

    Attributes:
        veer_pct: End VEER of each complete repeat, percent: the median of its last five epochs.
            At least one.
        num_lost: Number of repeats that failed or diverged, which are not in the mean.
    """

    veer_pct: tuple[float, ...]
    num_lost: int = 0

    @property
    def mean_pct(self) -> float:
        """Mean end VEER, percent."""
        return fmean(self.veer_pct)

    @property
    def sd_pct(self) -> float | None:
        """Sample standard deviation (n - 1) of the end VEERs, percentage points; None of one."""
        return stdev(self.veer_pct) if len(self.veer_pct) > 1 else None


def repeats_of(trials: Iterable[Rankable]) -> dict[int, Repeats]:
    """Return the repeats of each trial that has a complete one, by the number of the trial."""
    complete: dict[int, list[float]] = {}
    lost: dict[int, int] = {}
    for trial in trials:
        if trial.follow_up != REPEAT or trial.follows is None:
            continue
        # The median and not the lowest VEER, which is that of the luckiest epoch.
        if trial.state == "complete" and trial.median_veer_pct is not None:
            complete.setdefault(trial.follows, []).append(trial.median_veer_pct)
        elif trial.state in UNRANKED:
            lost[trial.follows] = lost.get(trial.follows, 0) + 1
    return {
        number: Repeats(veer_pct=tuple(veer_pct), num_lost=lost.get(number, 0))
        for number, veer_pct in complete.items()
    }


def ranked(trials: Iterable[RankableT]) -> list[RankableT]:
    """Return the search's own trials with a VEER, the best first.

    Trials whose config was repeated with other seeds come first, by the mean over the complete
    repeats. The others follow by their lowest figure that decides, which is optimistic and so not
    comparable with a mean. Failed and diverged trials and follow-ups have no rank.
    """
    trials = list(trials)
    repeats = repeats_of(trials)

    def sort_key(trial: RankableT) -> tuple[bool, float, int]:
        own = repeats.get(trial.trial)
        pct = trial.best_decision_pct if own is None else own.mean_pct
        # The number at the end makes the order of equal figures the same at every call.
        return own is None, 0.0 if pct is None else pct, trial.trial

    return sorted((trial for trial in trials if may_rank(trial)), key=sort_key)


def may_rank(trial: Rankable) -> bool:
    """Return whether a trial has a rank: not a follow-up, not failed or diverged, with a VEER."""
    has_veer = trial.best_veer_pct is not None
    return has_veer and trial.follow_up is None and trial.state not in UNRANKED


def best_ended(trials: Iterable[TrialHistory], most: int) -> list[TrialHistory]:
    """Return up to `most` of the trials that have ended, the best first.

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
    """Return mean and standard deviation, `9.80 % ± 0.40`; only the mean of a single repeat."""
    spread = "" if repeats.sd_pct is None else f" ± {repeats.sd_pct:.2f}"
    return f"{repeats.mean_pct:.2f} %{spread}"
