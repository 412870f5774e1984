"""Error rates that are worse than chance: labels that are swapped, not a bad model.

A model that has learned nothing has an EER of about 50 %. One that is significantly above it ranks
pairs of different speakers above pairs of one speaker, so the labels say the opposite of what they
should.
"""

import math
from pathlib import Path

from spaces.files.errors import TrainingError
from trainable.features.training_data import TrainingData
from trainable.verification.intervals import Interval
from trainable.verification.metrics import Floats
from trainable.verification.score_evaluator import ScoreEvaluator

CHANCE_PCT = 50.0
# Without an interval over speakers, pairs are taken as independent, which they are not: hence so
# many standard deviations, and so far from chance.
_NUM_DEVIATIONS = 4.0
_LEAST_PCT = 60.0


def why_inverted(
    veer_pct: float, interval: Interval | None, num_targets: int, num_others: int
) -> str | None:
    """Return why an EER is significantly above 50 %, None if it is not.

    Args:
        veer_pct: The EER, percent.
        interval: Its 95 % interval over speakers, if there is one.
        num_targets: Target pairs of the list.
        num_others: Non-target pairs of the list.
    """
    if interval is not None:
        found = f"{interval.low_pct:.2f} to {interval.high_pct:.2f} %"
        is_above, how = interval.low_pct > CHANCE_PCT, f"95 % interval {found}"
    else:
        deviation_pct = 100 * math.sqrt(0.25 / max(1, min(num_targets, num_others)))
        limit_pct = max(_LEAST_PCT, CHANCE_PCT + _NUM_DEVIATIONS * deviation_pct)
        is_above, how = veer_pct > limit_pct, f"above {limit_pct:.0f} % for so few pairs"
    if not is_above:
        return None
    return (
        f"EER {veer_pct:.2f} % ({how}) is significantly above the 50 % of chance: the labels of "
        "the validation list seem swapped; if 0 stands for the same speaker, set labels: 0 is "
        "target in corpus.yaml"
    )


def require_above_chance(teacher: Path, data: TrainingData, scores: Floats) -> None:
    """Refuse a teacher that is significantly worse than chance on the validation list.

    Raises:
        TrainingError: It is; with its VEER and what the labels seem to be.
    """
    measured = ScoreEvaluator(data).measure(scores)
    num_targets = int(data.val_is_target.sum())
    num_others = data.val_is_target.size - num_targets
    if why := why_inverted(measured.veer_pct, measured.interval, num_targets, num_others):
        raise TrainingError(f"teacher {teacher}: {why}")
