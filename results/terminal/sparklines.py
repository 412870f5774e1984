"""Curves in one line of text: of one trial on its own scale, or of many on a common scale."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from results.journal.history import TrialHistory

BARS = "▁▂▃▄▅▆▇█"
CURVE_BARS = 16
# Lower VEERs, in percent, are drawn as this one: the logarithm of 0 is not finite.
LEAST_PCT = 0.01

Curve = Sequence[float | None]


def sparkline(values: Curve, width: int = 60) -> str:
    """Return a curve as bars between its lowest and highest value.

    Args:
        values: Values in their order; a missing one becomes a blank.
        width: Largest number of bars. Longer curves are thinned evenly; the first and the last
            value are kept.
    """
    if len(values) > width:
        step = (len(values) - 1) / (width - 1)
        values = [values[round(index * step)] for index in range(width)]
    present = [value for value in values if value is not None]
    if not present:
        return ""
    return _bars(values, min(present), max(present))


def veer_curves(trials: Iterable[TrialHistory]) -> dict[int, list[float | None]]:
    """Return VEER in percent from the first epoch to the last, by the number of the trial."""
    return {
        trial.trial: [
            trial.epochs[epoch].veer_pct if epoch in trial.epochs else None
            for epoch in range(1, max(trial.epochs, default=0) + 1)
        ]
        for trial in trials
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveScale:
    """A common scale for the curves of many trials, so that they can be compared.

    A bar stands for the same number of epochs in every curve, so the line of a stopped trial is
    shorter. Heights are logarithms of VEER: on a linear scale the end of a curve from 50 % to 5 %
    would be flat.

    Attributes:
        low_pct: VEER of the lowest bar, percent.
        high_pct: VEER of the highest bar, percent.
        epochs_a_bar: Number of epochs in a bar; its height is that of the last one with a VEER.
    """

    low_pct: float
    high_pct: float
    epochs_a_bar: int

    def line(self, curve: Curve) -> str:
        """Return a curve as bars; a missing value becomes a blank."""
        ends = range(0, len(curve), self.epochs_a_bar)
        kept = [_last_present(curve[start : start + self.epochs_a_bar]) for start in ends]
        logs = [None if value is None else _log(value) for value in kept]
        return _bars(logs, _log(self.low_pct), _log(self.high_pct))

    @property
    def meaning(self) -> str:
        """The meaning of the bars, in one line."""
        low, high = f"{self.low_pct:.4g}", f"{self.high_pct:.4g}"
        epochs = "an epoch" if self.epochs_a_bar == 1 else f"{self.epochs_a_bar} epochs"
        return (
            f"curve: VEER by epoch, one scale for all, from {low} % ({BARS[0]}) to {high} % "
            f"({BARS[-1]}), logarithmic; {epochs} a bar"
        )


def curve_scale(curves: Mapping[int, Curve], most_bars: int = CURVE_BARS) -> CurveScale | None:
    """Return a scale on which each curve has at most `most_bars` bars; None without any VEER."""
    present = [value for curve in curves.values() for value in curve if value is not None]
    if not present:
        return None
    longest = max(len(curve) for curve in curves.values())
    return CurveScale(
        low_pct=min(present),
        high_pct=max(present),
        epochs_a_bar=math.ceil(longest / most_bars),
    )


def _bars(values: Curve, low: float, high: float) -> str:
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        " " if value is None else BARS[round((value - low) * scale)] for value in values
    )


def _log(veer_pct: float) -> float:
    return math.log(max(veer_pct, LEAST_PCT))


def _last_present(values: Curve) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)
