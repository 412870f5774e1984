"""The best trials of several searches compared on the same bootstrap replicates."""

from collections.abc import Sequence
from dataclasses import dataclass

from results.tables.run_view import RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class BestBehind:
    """How far one run's best is behind the first run's, percentage points of VEER.

    Attributes:
        behind_pct: Its VEER minus the first run's; below 0 it is ahead.
        low_pct: Lower end of the 95 % interval; None where the list's speakers are too few.
        high_pct: Its upper end.
        is_tied: Whether the interval has 0 in it, None without one.
    """

    behind_pct: float
    low_pct: float | None
    high_pct: float | None
    is_tied: bool | None


def bests_behind(views: Sequence[RunView]) -> tuple[BestBehind | None, ...]:
    """Of each run but the first; None where scores on one and the same list were not kept."""
    first, *others = views
    return tuple(_behind(other, first) for other in others)


def _behind(one: RunView, first: RunView) -> BestBehind | None:
    if one.best is None or first.best is None:
        return None
    told = one.kept.behind(one.best, first.best, scores_of_first=first.kept)
    if told is None:
        return None
    return BestBehind(
        behind_pct=told.behind_pct,
        low_pct=None if told.interval is None else told.interval.low_pct,
        high_pct=None if told.interval is None else told.interval.high_pct,
        is_tied=told.is_tied,
    )
