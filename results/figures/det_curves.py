"""Detection error trade-off (DET): FNR against FPR on probit axes (Martin et al., 1997)."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from results.analysis.run_view import RunView
from results.analysis.trial_scores import TrialScores
from results.figures.style import (
    BEST_COLOUR,
    NO_BOX,
    SERIES_COLOURS,
    TEACHER_COLOUR,
    axis,
    escape_template,
    new_figure,
    trial_lines,
)
from trainable.verification.metrics import equal_error_rate, error_rates

_MAX_TRIALS = 5
# Enough for curves that look smooth.
MAX_DET_POINTS = 250
TICKS_PCT = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 60, 80)
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetCurve:
    """Points of a DET curve, both rates in percent, strictly between 0 and 100."""

    fpr_pct: NDArray[np.float64]
    fnr_pct: NDArray[np.float64]


def det_curves(view: RunView) -> go.Figure | None:
    """Draw the curves of the best trials and the teacher; None where no scores were kept."""
    figure = new_figure("", "", height_px=540)
    colours = (
        BEST_COLOUR,
        *(colour for colour in SERIES_COLOURS if colour not in (BEST_COLOUR, TEACHER_COLOUR)),
    )
    drawn: list[TrialScores] = []
    for trial in view.ranked[:_MAX_TRIALS]:
        if (found := view.scores(trial)) is None:
            continue
        name = f"best: trial {trial.trial}" if trial is view.best else f"trial {trial.trial}"
        look = {"color": colours[len(drawn)], "width": 3 if trial is view.best else 1.5}
        _add_curve(figure, found, look, name, hover=trial_lines(view, trial), number=trial.trial)
        drawn.append(found)
    if (teacher := view.teacher_scores) is not None:
        look = {"color": TEACHER_COLOUR, "width": 2, "dash": "dash"}
        _add_curve(figure, teacher, look, "teacher", hover="<b>teacher</b>")
        drawn.append(teacher)
    if not drawn:
        return None
    _set_axes(figure)
    return figure


def det_curve(found: TrialScores) -> DetCurve:
    """Return the DET curve of scores, thinned evenly along its length.

    Points with a rate of 0 or 100 % are left out, since a probit axis has them at infinity.

    Raises:
        ValueError: As `trainable.verification.metrics.error_rates`.
    """
    fpr, fnr = error_rates(found.scores, found.is_target)
    inside = (fpr > 0) & (fpr < 1) & (fnr > 0) & (fnr < 1)
    fpr, fnr = fpr[inside], fnr[inside]
    if fpr.size > MAX_DET_POINTS:
        # Not by index: the ends of the curve have few scores and would lose their shape.
        steps = np.hypot(np.diff(_probits(fpr)), np.diff(_probits(fnr)))
        length = np.concatenate(([0.0], np.cumsum(steps)))
        kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], MAX_DET_POINTS)))
        fpr, fnr = fpr[np.minimum(kept, fpr.size - 1)], fnr[np.minimum(kept, fpr.size - 1)]
    return DetCurve(fpr_pct=100 * fpr, fnr_pct=100 * fnr)


def _probits(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the normal quantiles of rates strictly between 0 and 1."""
    return np.array([_NORMAL.inv_cdf(float(rate)) for rate in rates])


def _add_curve(
    figure: go.Figure,
    found: TrialScores,
    look: dict[str, Any],
    name: str,
    *,
    hover: str,
    number: int | None = None,
) -> None:
    curve = det_curve(found)
    eer_pct = equal_error_rate(found.scores, found.is_target)
    rates_text = "FPR %{customdata[1]:.3g} %, FNR %{customdata[2]:.3g} %"
    both = [curve.fpr_pct, curve.fnr_pct]
    x, y = (_probits(rates / 100).round(4).tolist() for rates in both)
    rates = [rates.round(4).tolist() for rates in both]
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            customdata=[[number, fpr, fnr] for fpr, fnr in zip(*rates, strict=True)],
            mode="lines",
            line=look,
            name=f"{name}, EER {eer_pct:.2f} %",
            legendgroup=name,
            hovertemplate=f"{rates_text}<br>{escape_template(hover)}{NO_BOX}",
        )
    )
    if 0 < eer_pct < 100:  # the ends are at infinity on a probit axis
        at = round(_NORMAL.inv_cdf(eer_pct / 100), 4)
        figure.add_trace(
            go.Scatter(
                x=[at],
                y=[at],
                customdata=[[number, round(eer_pct, 4), round(eer_pct, 4)]],
                mode="markers",
                marker={"size": 9, "symbol": "circle-open", "color": look["color"]},
                legendgroup=name,
                showlegend=False,
                hovertemplate=f"EER %{{customdata[1]:.2f}} %<br>{escape_template(hover)}{NO_BOX}",
            )
        )


def _set_axes(figure: go.Figure) -> None:
    """Set equal ranges and ticks in percent for both axes; draw the diagonal of equal rates."""
    drawn = [value for trace in figure.data for value in (*trace.x, *trace.y)]
    low, high = min(drawn, default=-2.0) - 0.1, max(drawn, default=0.0) + 0.1
    ticks = {
        "tickvals": [_NORMAL.inv_cdf(pct / 100) for pct in TICKS_PCT],
        "ticktext": [f"{pct:g}" for pct in TICKS_PCT],
        "range": [low, high],
    }
    figure.update_xaxes(**axis("non-target pairs accepted (FPR), %", **ticks))
    figure.update_yaxes(**axis("target pairs rejected (FNR), %", **ticks))
    figure.add_shape(
        type="line", x0=low, y0=low, x1=high, y1=high, layer="below",
        line={"color": "rgba(128,128,128,0.5)", "dash": "dot", "width": 1},
    )  # fmt: skip
