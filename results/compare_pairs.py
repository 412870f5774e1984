"""The best trials of several searches compared on the same bootstrap replicates."""

from collections.abc import Sequence
from dataclasses import dataclass

from results.run_view import RunView
from results.scores import RunScores
from trainable.intervals import difference


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
    scores = [RunScores(view.folder) for view in views]
    return tuple(
        _behind((other, own), (first, scores[0]))
        for other, own in zip(others, scores[1:], strict=True)
    )


def _behind(one: tuple[RunView, RunScores], first: tuple[RunView, RunScores]) -> BestBehind | None:
    lists = [scores.pairs() for _, scores in (one, first)]
    bests = [view.best for view, _ in (one, first)]
    if lists[0] is None or lists[1] is None or not lists[0].equals(lists[1]):
        return None
    if bests[0] is None or bests[1] is None or bests[0].best is None or bests[1].best is None:
        return None
    found = one[1].trial(bests[0]), first[1].trial(bests[1])
    if found[0] is None or found[1] is None:
        return None
    if found[0].replicates.shape != found[1].replicates.shape:
        return None  # of versions that drew another number of them
    speakers = {*lists[0]["speaker_a"].to_pylist(), *lists[0]["speaker_b"].to_pylist()}
    veers = float(bests[0].best["veer_pct"]), float(bests[1].best["veer_pct"])
    told = difference(veers, (found[0].replicates, found[1].replicates), len(speakers))
    return BestBehind(
        behind_pct=told.behind_pct,
        low_pct=None if told.interval is None else told.interval.low_pct,
        high_pct=None if told.interval is None else told.interval.high_pct,
        is_tied=told.is_tied,
    )
