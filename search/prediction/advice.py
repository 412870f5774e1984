"""One sentence on what would have saved epochs, or that nothing can be shown."""

from collections.abc import Sequence

from search.prediction.estimates import VariantResult
from search.prediction.prediction import Prediction

# A change is recommended if it costs at most so many points of VEER, with its whole interval.
ALLOWED_PCT = 0.25
# Fewer seeds support no sentence.
MIN_SEEDS = 10


def advice(prediction: Prediction) -> str:
    """Return the sentence: the change that saves most epochs at the same VEER, and how sure.

    A change counts if the whole 95 % interval of its mean saving lies above 0, and that of its
    mean difference of the true VEER at most `ALLOWED_PCT` above 0.
    """
    seeds, quality = len(prediction.seeds), prediction.quality
    if seeds < MIN_SEEDS:
        return (
            f"what would save epochs cannot be said from {seeds} simulated searches; at least "
            f"{MIN_SEEDS} are needed (--seeds)"
        )
    if quality.low <= 0:
        return (
            "what would save epochs cannot be said: the curves of these trials do not show which "
            "configs are better than others"
        )
    first, *others = prediction.results
    alike = [each for each in others if each.num_workers == first.num_workers]
    if not alike:
        return "what would save epochs cannot be said: no other settings were simulated"
    found = [each for each in alike if _saves(each)]
    if not found:
        return (
            f"none of the {len(alike)} changes is shown to save epochs at a VEER within "
            f"{ALLOWED_PCT} points of that of the given settings{_nearest(alike)}"
        )
    best = max(found, key=lambda each: each.fewer.value)
    return (
        f"{best.name} would save {_percent(best.fewer.value)} of the epochs (95 % interval of the "
        f"mean {_percent(best.fewer.low)} to {_percent(best.fewer.high)}; fewer in "
        f"{best.num_fewer} of {seeds} simulated searches), with a student "
        f"{best.behind_pct.value:+.2f} points from that of the given settings "
        f"({best.behind_pct.low:+.2f} to {best.behind_pct.high:+.2f})"
    )


def _saves(result: VariantResult) -> bool:
    return result.fewer.low > 0 and result.behind_pct.high <= ALLOWED_PCT


def _nearest(results: Sequence[VariantResult]) -> str:
    saving = [each for each in results if each.fewer.low > 0]
    if not saving:
        return ""
    nearest = min(saving, key=lambda each: each.behind_pct.high)
    return (
        f"; {nearest.name} comes nearest: {_percent(nearest.fewer.value)} fewer, and "
        f"{nearest.behind_pct.value:+.2f} points ({nearest.behind_pct.low:+.2f} to "
        f"{nearest.behind_pct.high:+.2f})"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
