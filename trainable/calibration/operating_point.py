"""Thresholds for wanted rates of false accepts, and how sure the rates at a threshold are.

Shapes: P trial pairs, R bootstrap replicates.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from trainable.verification.bootstrap import SpeakerBootstrap
from trainable.verification.intervals import Interval, rate_interval, value_interval
from trainable.verification.metrics import Floats, eer_threshold

DEFAULT_FALSE_ACCEPTS_PCT = (0.1, 1.0, 5.0)
# Doddington's rule of 30: with fewer errors a rate is not known to within 30 %.
FEW_ERRORS = 30


class Range(BaseModel):
    """A 95 % interval by bootstrap over speakers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    high: float

    @classmethod
    def of(cls, found: Interval | None) -> "Range | None":
        """Return the range of an interval, percent; None if there is none."""
        return None if found is None else cls(low=found.low_pct, high=found.high_pct)


class OperatingPoint(BaseModel):
    """A threshold and its error rates on a list; scores above it are accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    wanted_pct: float | None = Field(description="wanted false accepts; None at the EER")
    threshold: float
    threshold_range: Range | None = None
    false_accept_pct: float = Field(ge=0, le=100)
    false_accept_range: Range | None = None
    num_false_accepts: int = Field(ge=0)
    miss_pct: float = Field(ge=0, le=100)
    miss_range: Range | None = None

    @property
    def name(self) -> str:
        """What the threshold is for."""
        return "equal errors" if self.wanted_pct is None else f"{self.wanted_pct:g} % wanted"


def operating_points(
    scores: Floats,
    is_target: np.ndarray,
    bootstrap: SpeakerBootstrap | None,
    wanted_pct: Sequence[float] = DEFAULT_FALSE_ACCEPTS_PCT,
) -> tuple[OperatingPoint, ...]:
    """Return the threshold of equal errors, and one for each wanted rate that a list can measure.

    Args:
        scores: (P,) scores; a higher score means "same speaker".
        is_target: (P,) whether both utterances are of one speaker.
        bootstrap: The bootstrap over the list's speakers; None if they are unknown, which leaves
            the ranges out.
        wanted_pct: Rates of false accepts, percent. One that stands for less than a pair of the
            list is left out.
    """
    others = np.sort(scores[~is_target])[::-1]
    points = [_point(None, eer_threshold(scores, is_target), scores, is_target, bootstrap)]
    for wanted in wanted_pct:
        most = int(others.size * wanted / 100 + 1e-9)
        if 0 < most < others.size:
            points.append(_point(wanted, float(others[most]), scores, is_target, bootstrap))
    return tuple(points)


def points_elsewhere(
    points: Sequence[OperatingPoint],
    decides: Floats,
    is_target: np.ndarray,
    bootstrap: SpeakerBootstrap | None,
) -> tuple[OperatingPoint, ...]:
    """Return the error rates at the thresholds of another list.

    Args:
        points: The thresholds.
        decides: (P,) what is compared with them.
        is_target: (P,) whether both utterances are of one speaker.
        bootstrap: The bootstrap over this list's speakers; None if they are unknown.
    """
    found = (_point(None, p.threshold, decides, is_target, bootstrap) for p in points)
    return tuple(
        here.model_copy(update={"wanted_pct": there.wanted_pct})
        for here, there in zip(found, points, strict=True)
    )


def _point(
    wanted_pct: float | None,
    threshold: float,
    scores: Floats,
    is_target: np.ndarray,
    bootstrap: SpeakerBootstrap | None,
) -> OperatingPoint:
    accepted = scores > threshold
    false_pct, miss_pct = (
        float(100 * accepted[~is_target].mean()),
        float(100 * (~accepted[is_target]).mean()),
    )
    found = OperatingPoint(
        wanted_pct=wanted_pct,
        threshold=threshold,
        false_accept_pct=false_pct,
        num_false_accepts=int(accepted[~is_target].sum()),
        miss_pct=miss_pct,
    )
    if bootstrap is None:
        return found
    num_speakers = bootstrap.pairs.num_speakers
    false_R, miss_R = bootstrap.rates_pct(scores, threshold)
    num_false, num_true = int((~is_target).sum()), int(is_target.sum())
    false_range = rate_interval(
        false_pct, false_R, num_speakers=num_speakers, num_pairs=num_false
    )
    miss_range = rate_interval(miss_pct, miss_R, num_speakers=num_speakers, num_pairs=num_true)
    moved = None
    if wanted_pct is not None:
        moved = value_interval(threshold, bootstrap.thresholds(scores, wanted_pct), num_speakers)
    return found.model_copy(
        update={
            "false_accept_range": Range.of(false_range),
            "miss_range": Range.of(miss_range),
            "threshold_range": None if moved is None else Range(low=moved[0], high=moved[1]),
        }
    )
