"""Timeline: where and when each trial ran, one bar per placement."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from results.analysis.run_view import RunView
from results.figures.spans import FaultMark, Schedule, Span, schedule_of
from results.figures.style import (
    BEST_COLOUR,
    NO_BOX,
    STATE_COLOURS,
    STATE_NAMES,
    axis,
    label_text,
    new_figure,
    trial_lines,
)

_ROW_PX = 34
# The edge separates neighbouring bars; of many thin bars it would hide the colour.
EDGE = {"width": 0.8, "color": "rgba(128,128,128,0.6)"}
MAX_EDGED_BARS = 100
# Pauses closer to each other than this part of the width have a sign in place of their text, since
# a narrow screen has no room for both texts.
_NEAR = 0.4
_NEAR_EDGE = 0.2
_LEVEL_PX = 16
PAUSE_SIGN = "\u2016"
_MARGINS_PX = 130
_UNITS = (
    (2 * 86_400.0, "days", 86_400.0),
    (2 * 3600.0, "hours", 3600.0),
    (120.0, "minutes", 60.0),
)


def timeline(view: RunView) -> go.Figure | None:
    """Draw bars by worker, with faults and pauses; None before any trial has run."""
    schedule = schedule_of(view)
    if not schedule.spans:
        return None
    unit, unit_s = _unit(schedule.end_s)
    height_px = _MARGINS_PX + 20 + _ROW_PX * max(len(schedule.rows), 2)
    title = f"{unit} of the search" + ", without pauses" * bool(schedule.pauses)
    figure = new_figure(title, "", height_px=height_px)
    best = None if view.best is None else view.best.trial
    edge = EDGE if len(schedule.spans) <= MAX_EDGED_BARS else {"width": 0}
    for state in STATE_COLOURS:
        spans = [each for each in schedule.spans if each.state == state and each.trial != best]
        if spans:
            figure.add_trace(_bars(view, spans, unit_s, STATE_COLOURS[state], edge))
            figure.data[-1].name = STATE_NAMES[state]
    bars_of_best = [each for each in schedule.spans if each.trial == best]
    if bars_of_best:
        figure.add_trace(_bars(view, bars_of_best, unit_s, BEST_COLOUR, edge))
        figure.data[-1].name = f"best: trial {best}"
    if schedule.faults:
        figure.add_trace(_faults(schedule.faults, unit_s))
    _mark_pauses(figure, schedule, unit_s)
    rows = [label_text(row) for row in schedule.rows]
    figure.update_yaxes(
        showgrid=False, categoryorder="array", categoryarray=rows, autorange="reversed",
        range=None, type="category", tickvals=rows,
        ticktext=[row.replace(" (host ", " (host<br>") for row in rows],
    )  # fmt: skip
    figure.update_xaxes(**axis(title, rangemode="tozero"))
    # The legend is below the axis, because the texts of pauses are above the chart.
    legend = {"y": 0, "yref": "container", "yanchor": "bottom"}
    figure.update_layout(barmode="overlay", bargap=0.25, legend=legend, margin={"t": 45, "b": 85})
    return figure


def _unit(end_s: float) -> tuple[str, float]:
    return next(((unit, size) for least, unit, size in _UNITS if end_s >= least), ("seconds", 1.0))


def _bars(
    view: RunView, spans: Sequence[Span], unit_s: float, colour: str, edge: dict[str, Any]
) -> go.Bar:
    trials = {trial.trial: trial for trial in view.histories}
    return go.Bar(
        base=[round(each.begin_s / unit_s, 5) for each in spans],
        x=[round((each.end_s - each.begin_s) / unit_s, 5) for each in spans],
        y=[label_text(each.row) for each in spans],
        customdata=[
            [each.trial, f"{trial_lines(view, trials[each.trial])}<br>{label_text(each.details)}"]
            for each in spans
        ],
        orientation="h",
        marker={"color": colour, "line": edge},
        hovertemplate="%{customdata[1]}" + NO_BOX,
    )


def _faults(faults: Sequence[FaultMark], unit_s: float) -> go.Scatter:
    return go.Scatter(
        x=[round(each.at_s / unit_s, 5) for each in faults],
        y=[label_text(each.row) for each in faults],
        customdata=[[each.trial, label_text(each.details)] for each in faults],
        mode="markers",
        marker={"symbol": "x", "size": 10, "color": STATE_COLOURS["failed"]},
        name="fault",
        hovertemplate="trial %{customdata[0]}: %{customdata[1]}" + NO_BOX,
    )


def _mark_pauses(figure: go.Figure, schedule: Schedule, unit_s: float) -> None:
    """Draw a line and a text for each pause, on two levels; close pauses have only hover text."""
    every = [at_s for at_s, _ in schedule.pauses]
    for number, (at_s, lasted_s) in enumerate(schedule.pauses):
        unit, size = _unit(lasted_s)
        name = f"paused {lasted_s / size:.3g} {unit}"
        near_s = _NEAR * schedule.end_s
        is_close = sum(abs(at_s - other_s) < near_s for other_s in every) > 1
        part = at_s / schedule.end_s if schedule.end_s else 0.5
        side = "left" if part < _NEAR_EDGE else "right" if part > 1 - _NEAR_EDGE else "center"
        figure.add_vline(
            x=at_s / unit_s,
            line={"color": "rgba(128,128,128,0.9)", "dash": "dash", "width": 1},
            annotation={
                "text": PAUSE_SIGN if is_close else name, "hovertext": name, "yanchor": "bottom",
                "xanchor": "center" if is_close else side, "yshift": _LEVEL_PX * (number % 2),
            },
            annotation_position="top",
        )  # fmt: skip
