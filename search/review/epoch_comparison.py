"""Comparison of two runs of one trial, epoch by epoch: bit for bit, or within a tolerance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainable.report.epoch_report import TIMING_FIELDS, EpochMetrics

_METRICS = (name for name in EpochMetrics.model_fields if name not in TIMING_FIELDS)
COMPARED = ("epoch", "veer_pct", *_METRICS, "num_params")
# How far runs of the same code differ only by rounding: measured, see docs/reproduce.md.
VEER_TOLERANCE_PCT = 3.0
LOSS_TOLERANCE = 0.05
# In a short list, a few trial pairs that change their order in score exceed the tolerance above.
TOLERANCE_PAIRS = 3
# Rounding cannot change these, so they have no tolerance.
EXACT = ("epoch", "num_params")
# A value that a damaged journal holds may be of any length.
_MAX_QUOTED_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPair:
    """One epoch as recorded in the journal, and as computed again.

    Attributes:
        recorded: Fields of the journal's record.
        again: The same fields of the new run, as the journal would record them.
    """

    recorded: Mapping[str, Any]
    again: Mapping[str, Any]

    @property
    def epoch(self) -> int:
        """The number of the epoch, from 1."""
        return int(self.recorded["epoch"])

    @property
    def differing(self) -> list[str]:
        """The recorded fields that are not equal bit for bit.

        A metric that the recording version of Veer did not have cannot differ.
        """
        recorded = self.recorded
        return [
            name for name in COMPARED if name in recorded and recorded[name] != self.again[name]
        ]

    @property
    def veer_drift_pct(self) -> float:
        """The new VEER minus the recorded one, percentage points; infinite if one is missing."""
        return self._drift("veer_pct")

    @property
    def loss_drift(self) -> float:
        """The new total loss minus the recorded one."""
        return self._drift("loss_total")

    @property
    def relative_loss_drift(self) -> float:
        """`loss_drift` divided by the recorded loss; infinite if that is zero or missing."""
        then, drift = self.recorded.get("loss_total"), self.loss_drift
        if not drift:
            return 0.0
        return drift / abs(then) if then else math.copysign(math.inf, drift)

    def beyond_tolerance(self, veer_tolerance_pct: float) -> list[str]:
        """Return a sentence for each difference that rounding cannot explain.

        Args:
            veer_tolerance_pct: The result of the function of this name.
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
        """Return e.g. `epoch 3 in veer_pct: 12.5 recorded, 12.6 again, a difference of 0.1`."""
        one, two = self.recorded.get(name), self.again[name]
        size = _distance(one, two)
        by = "" if size is None else f", a difference of {size:.3g}"
        values = f"{str(one)[:_MAX_QUOTED_CHARS]} recorded, {str(two)[:_MAX_QUOTED_CHARS]} again"
        return f"epoch {self.epoch} in {name}: {values}{by}"

    def _drift(self, name: str) -> float:
        one, two = self.recorded.get(name), self.again[name]
        # First, as two missing values are equal too, and have no difference.
        if one == two:
            return 0.0
        return math.inf if one is None or two is None else float(two) - float(one)


def veer_tolerance_pct(is_target: NDArray[np.bool_]) -> float:
    """Return how far a VEER may differ: 3 percentage points, or 3 trial pairs if that is more.

    Args:
        is_target: Whether each validation trial pair is a target pair. One pair of the rarer class
            changes the VEER most.
    """
    num_rarer = min(int(is_target.sum()), int((~is_target).sum()))
    return max(VEER_TOLERANCE_PCT, 100 * TOLERANCE_PAIRS / num_rarer)


def first_difference(pairs: Sequence[EpochPair]) -> str | None:
    """Return the first field that differs, in words; None if all are equal."""
    for pair in pairs:
        if pair.differing:
            return pair.in_words(pair.differing[0])
    return None


def _distance(one: object, two: object) -> float | None:
    """Return the largest difference of two numbers or two lists of numbers, else None."""
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        sizes = [_distance(a, b) for a, b in zip(one, two, strict=True)]
        return max((size for size in sizes if size is not None), default=None)
    if isinstance(one, int | float) and isinstance(two, int | float):
        return abs(two - one)
    return None
