"""Two courses of one trial compared, epoch by epoch: bit for bit, or within a tolerance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainable.training.epoch_report import TIMING_FIELDS, EpochReport

COMPARED = (*(f.name for f in fields(EpochReport) if f.name not in TIMING_FIELDS), "num_params")
# How far runs of the same code drift apart by rounding alone; measured, see docs/reproduce.md.
VEER_TOLERANCE_PCT = 3.0
LOSS_TOLERANCE = 0.05
# In a short list that is less than a few trial pairs that change places.
TOLERANCE_PAIRS = 3
# Does not come from rounding: no tolerance.
EXACT = ("epoch", "num_params")
MAX_VALUE_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPair:
    """One epoch as it was recorded and as it came again.

    Attributes:
        recorded: Fields of the journal's record.
        again: The same fields now, as the journal would have them.
    """

    recorded: Mapping[str, Any]
    again: Mapping[str, Any]

    @property
    def epoch(self) -> int:
        """Its number, from 1."""
        return int(self.recorded["epoch"])

    @property
    def differing(self) -> list[str]:
        """Fields that are not the same bit for bit; those the journal lacks are left out."""
        return [
            name
            for name in COMPARED
            if name in self.recorded and self.recorded[name] != self.again[name]
        ]

    @property
    def veer_drift_pct(self) -> float:
        """VEER again less recorded, percentage points; infinite where one is no number."""
        return self._drift("veer_pct")

    @property
    def loss_drift(self) -> float:
        """Total loss again less recorded."""
        return self._drift("loss_total")

    @property
    def relative_loss_drift(self) -> float:
        """`loss_drift` over the recorded loss; infinite where that is zero or none."""
        then, drift = self.recorded.get("loss_total"), self.loss_drift
        if not drift:
            return 0.0
        return drift / abs(then) if then else math.copysign(math.inf, drift)

    def beyond_tolerance(self, veer_tolerance_pct: float) -> list[str]:
        """Return what no rounding explains, in words.

        Args:
            veer_tolerance_pct: As the function of this name gives it.
        """
        beyond = [
            self.in_words(name) for name in EXACT if self.recorded.get(name) != self.again[name]
        ]
        if abs(self.veer_drift_pct) > veer_tolerance_pct:
            beyond.append(self.in_words("veer_pct"))
        if abs(self.relative_loss_drift) > LOSS_TOLERANCE:
            beyond.append(self.in_words("loss_total"))
        return beyond

    def in_words(self, name: str) -> str:
        """`epoch 3 in veer_pct: 12.5 recorded, 12.6 again, a difference of 0.1`."""
        one, two = self.recorded.get(name), self.again[name]
        size = _distance(one, two)
        by = "" if size is None else f", a difference of {size:.3g}"
        told = f"{str(one)[:MAX_VALUE_CHARS]} recorded, {str(two)[:MAX_VALUE_CHARS]} again"
        return f"epoch {self.epoch} in {name}: {told}{by}"

    def _drift(self, name: str) -> float:
        one, two = self.recorded.get(name), self.again[name]
        if one == two:
            return 0.0
        return math.inf if one is None or two is None else float(two) - float(one)


def veer_tolerance_pct(is_target: NDArray[np.bool_]) -> float:
    """Return how far a VEER may drift, percentage points: three, or three trial pairs if that is more.

    Args:
        is_target: Of each validation trial pair; the rarer class decides what one pair is worth.
    """
    num_rarer = min(int(is_target.sum()), int((~is_target).sum()))
    return max(VEER_TOLERANCE_PCT, 100 * TOLERANCE_PAIRS / num_rarer)


def first_difference(pairs: Sequence[EpochPair]) -> str | None:
    """Return which field of which epoch differs first, and by how much; None where none does."""
    for pair in pairs:
        if pair.differing:
            return pair.in_words(pair.differing[0])
    return None


def _distance(one: object, two: object) -> float | None:
    """Return the largest difference of two numbers or two lists of them; None where there is none."""
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        sizes = [_distance(a, b) for a, b in zip(one, two, strict=True)]
        return max((size for size in sizes if size is not None), default=None)
    if isinstance(one, int | float) and isinstance(two, int | float):
        return abs(two - one)
    return None
