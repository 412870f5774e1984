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
    seeds, first = len(prediction.seeds), prediction.results[0]
    changes = [each for each in prediction.results[1:] if each.num_workers == first.num_workers]
    found = [each for each in changes if _saves(each)]
    if (why := _why_unknown(prediction, changes)) is not None:
        return why
    if not found:
        return _none_saves(prediction, [each for each in changes if not each.is_same])
    best = max(found, key=lambda each: each.fewer.value)
    return (
        f"{best.name} would save {_percent(best.fewer.value)} of the epochs (95 % interval of the "
        f"mean {_percent(best.fewer.low)} to {_percent(best.fewer.high)}; fewer in "
        f"{best.num_fewer} of {seeds} simulated searches), with a student "
        f"{best.behind_pct.value:+.2f} points from that of the given settings "
        f"({best.behind_pct.low:+.2f} to {best.behind_pct.high:+.2f})"
    )


def _why_unknown(prediction: Prediction, changes: Sequence[VariantResult]) -> str | None:
    seeds, unknown = len(prediction.seeds), "what would save epochs cannot be said"
    if seeds < MIN_SEEDS:
        return (
            f"{unknown} from {seeds} simulated searches; at least {MIN_SEEDS} are needed (--seeds)"
        )
    if prediction.quality.low <= 0:
        return (
            f"{unknown}: the curves of these trials do not show which configs are better than "
            "others"
        )
    return None if changes else f"{unknown}: no other settings were simulated"


def _none_saves(prediction: Prediction, others: Sequence[VariantResult]) -> str:
    """Return the sentence where no change is shown to save epochs.

    Args:
        prediction: The prediction.
        others: The changes that have an effect.
    """
    if not others:
        return "no change has an effect: each search is the one of the given settings"
    if prediction.total_epochs is not None:
        return (
            "what would save epochs cannot be said: total_epochs ends every search at "
            f"{prediction.total_epochs:,}; add --set total_epochs=null, or compare the VEERs"
        )
    return (
        f"none of the {len(others)} changes is shown to save epochs at a VEER within "
        f"{ALLOWED_PCT} points of that of the given settings{_nearest(others)}"
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
