"""Charts of a prediction: time to a VEER by the number of workers, and VEER against epochs."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from results.figures.style import (
    FRONT_COLOUR,
    NO_BOX,
    SERIES_COLOURS,
    axis,
    log_ticks,
    new_figure,
)
from search.prediction.estimates import Estimate, VariantResult
from search.prediction.scaling import ScalingPoint, by_arm

S_PER_H = 3600.0


def scaling_chart(points: Sequence[ScalingPoint]) -> go.Figure | None:
    """Draw the hours to a VEER by workers, each arm with its interval and its linear scaling."""
    if not points:
        return None
    figure = new_figure("workers", "hours to the VEER")
    colours = iter(SERIES_COLOURS * len(points))
    for arm, own in by_arm(points):
        colour = next(colours)
        workers = [each.num_workers for each in own]
        hours = [each.time_s.value / S_PER_H for each in own]
        figure.add_trace(
            go.Scatter(
                x=workers,
                y=hours,
                error_y=_bars([each.time_s for each in own], S_PER_H),
                name=arm,
                mode="lines+markers",
                line={"color": colour},
                customdata=[[None, each.efficiency, each.num_failed] for each in own],
                hovertemplate=f"<b>{arm}</b><br>%{{x:,}} workers: %{{y:.3g}} h<br>"
                "%{customdata[1]:.0%} of linear<br>%{customdata[2]} not reached" + NO_BOX,
            )
        )
        figure.add_trace(
            go.Scatter(
                x=workers,
                y=[hours[0] * workers[0] / each for each in workers],
                mode="lines",
                line={"color": colour, "dash": "dot", "width": 1},
                opacity=0.6,
                showlegend=False,
                hoverinfo="skip",
            )
        )
    figure.update_xaxes(**axis("workers", **log_ticks([each.num_workers for each in points])))
    # Of the lines of linear scaling too.
    all_hours = [hours for trace in figure.data for hours in trace.y]
    figure.update_yaxes(**axis("hours to the VEER", **log_ticks(all_hours)))
    return figure


def variants_chart(results: Sequence[VariantResult]) -> go.Figure:
    """Draw the true VEER of the chosen student against the epochs, a mark for each search."""
    figure = new_figure("epochs of all trials", "true VEER of the chosen student, %")
    # Marks of searches that are the same would hide each other.
    for place, each in enumerate(one for one in results if not one.is_same):
        colour = FRONT_COLOUR if not place else SERIES_COLOURS[(place - 1) % len(SERIES_COLOURS)]
        figure.add_trace(
            go.Scatter(
                x=[each.epochs.value],
                y=[each.true_pct.value],
                error_x=_bars([each.epochs]),
                error_y=_bars([each.true_pct]),
                name=each.name,
                mode="markers",
                marker={"color": colour, "size": 11, "symbol": "circle" if place else "diamond"},
                hovertemplate=f"<b>{each.name}</b><br>%{{x:,.0f}} epochs<br>%{{y:.2f}} %" + NO_BOX,
            )
        )
    return figure


def _bars(estimates: Sequence[Estimate], unit: float = 1.0) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [(each.high - each.value) / unit for each in estimates],
        "arrayminus": [(each.value - each.low) / unit for each in estimates],
        "thickness": 1,
        "width": 3,
    }
