"""Curves in one line of text: of one trial by itself, or of many on one scale."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from results.journal.history import TrialHistory

BARS = "▁▂▃▄▅▆▇█"
CURVE_BARS = 16
# So low a VEER, percent, that a lower one is drawn no lower: a logarithm needs an end.
LEAST_PCT = 0.01

Curve = Sequence[float | None]


def sparkline(values: Curve, width: int = 60) -> str:
    """A curve in one line of text, its lowest value a low bar; at most `width` bars.

    Longer curves are thinned evenly, first and last value kept; a missing value is a blank.
    """
    if len(values) > width:
        step = (len(values) - 1) / (width - 1)
        values = [values[round(index * step)] for index in range(width)]
    present = [value for value in values if value is not None]
    if not present:
        return ""
    return _bars(values, min(present), max(present))


def veer_curves(trials: Iterable[TrialHistory]) -> dict[int, list[float | None]]:
    """VEER in percent from the first epoch to the last, by the trial's number."""
    return {
        trial.trial: [
            trial.epochs[epoch]["veer_pct"] if epoch in trial.epochs else None
            for epoch in range(1, max(trial.epochs, default=0) + 1)
        ]
        for trial in trials
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveScale:
    """One scale for the curves of many trials, so that they can be compared.

    A bar stands for as many epochs in each curve, so that the line of a trial that was stopped
    ends where it was. Heights are logarithms of VEER: of a trial that begins at 50 % and ends at
    5 % the end would otherwise be flat.

    Attributes:
        low_pct: VEER of the lowest bar, percent.
        high_pct: VEER of the highest.
        epochs_a_bar: Epochs that a bar stands for; its height is that of the last with a VEER.
    """

    low_pct: float
    high_pct: float
    epochs_a_bar: int

    def line(self, curve: Curve) -> str:
        """A curve as bars; a missing value is a blank."""
        ends = range(0, len(curve), self.epochs_a_bar)
        kept = [_last_present(curve[start : start + self.epochs_a_bar]) for start in ends]
        logs = [None if value is None else _log(value) for value in kept]
        return _bars(logs, _log(self.low_pct), _log(self.high_pct))

    @property
    def meaning(self) -> str:
        """What the bars say, in a line."""
        low, high = f"{self.low_pct:.4g}", f"{self.high_pct:.4g}"
        epochs = "an epoch" if self.epochs_a_bar == 1 else f"{self.epochs_a_bar} epochs"
        return (
            f"curve: VEER by epoch, one scale for all, from {low} % ({BARS[0]}) to {high} % "
            f"({BARS[-1]}), logarithmic; {epochs} a bar"
        )


def curve_scale(curves: Mapping[int, Curve], most_bars: int = CURVE_BARS) -> CurveScale | None:
    """The scale on which all these curves fit into so many bars; None where there is no VEER."""
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
