"""Which trial ran where and when, a bar a placement."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from results.figures.spans import Mark, Schedule, Span, schedule_of
from results.figures.style import (
    BEST,
    NO_BOX,
    STATE_COLOURS,
    STATE_WORDS,
    axis,
    new_figure,
    trial_lines,
    words,
)
from results.tables.run_view import RunView

ROW_PX = 34
# Keeps neighbours apart; of many bars little else would be seen.
EDGE = {"width": 0.8, "color": "rgba(128,128,128,0.6)"}
MOST_EDGED = 100
# Pauses nearer to each other than this part of the width, of which a narrow screen has too little
# for both their names, have a sign.
NEAR = 0.4
NEAR_EDGE = 0.2
LEVEL_PX = 16
SIGN = "\u2016"
MARGINS_PX = 130
UNITS = ((2 * 86_400.0, "days", 86_400.0), (2 * 3600.0, "hours", 3600.0), (120.0, "minutes", 60.0))


def timeline(view: RunView) -> go.Figure | None:
    """Bars by worker, faults and pauses marked; None before any trial has run."""
    schedule = schedule_of(view)
    if not schedule.spans:
        return None
    unit, unit_s = _unit(schedule.end_s)
    height_px = MARGINS_PX + 20 + ROW_PX * max(len(schedule.rows), 2)
    title = f"{unit} of the search" + ", without pauses" * bool(schedule.pauses)
    figure = new_figure(title, "", height_px=height_px)
    best = None if view.best is None else view.best.trial
    edge = EDGE if len(schedule.spans) <= MOST_EDGED else {"width": 0}
    for state in STATE_COLOURS:
        spans = [each for each in schedule.spans if each.state == state and each.trial != best]
        if spans:
            figure.add_trace(_bars(view, spans, unit_s, STATE_COLOURS[state], edge))
            figure.data[-1].name = STATE_WORDS[state]
    own = [each for each in schedule.spans if each.trial == best]
    if own:
        figure.add_trace(_bars(view, own, unit_s, BEST, edge))
        figure.data[-1].name = f"best: trial {best}"
    if schedule.faults:
        figure.add_trace(_faults(schedule.faults, unit_s))
    _mark_pauses(figure, schedule, unit_s)
    rows = [words(row) for row in schedule.rows]
    figure.update_yaxes(
        showgrid=False, categoryorder="array", categoryarray=rows, autorange="reversed",
        range=None, type="category", tickvals=rows,
        ticktext=[row.replace(" (place ", " (place<br>") for row in rows],
    )  # fmt: skip
    figure.update_xaxes(**axis(title, rangemode="tozero"))
    # Below the axis: above stand the pauses.
    legend = {"y": 0, "yref": "container", "yanchor": "bottom"}
    figure.update_layout(barmode="overlay", bargap=0.25, legend=legend, margin={"t": 45, "b": 85})
    return figure


def _unit(end_s: float) -> tuple[str, float]:
    return next(((unit, size) for least, unit, size in UNITS if end_s >= least), ("seconds", 1.0))


def _bars(
    view: RunView, spans: Sequence[Span], unit_s: float, colour: str, edge: dict[str, Any]
) -> go.Bar:
    trials = {trial.trial: trial for trial in view.histories}
    return go.Bar(
        base=[round(each.begin_s / unit_s, 5) for each in spans],
        x=[round((each.end_s - each.begin_s) / unit_s, 5) for each in spans],
        y=[words(each.row) for each in spans],
        customdata=[
            [each.trial, f"{trial_lines(view, trials[each.trial])}<br>{words(each.told)}"]
            for each in spans
        ],
        orientation="h",
        marker={"color": colour, "line": edge},
        hovertemplate="%{customdata[1]}" + NO_BOX,
    )


def _faults(faults: Sequence[Mark], unit_s: float) -> go.Scatter:
    return go.Scatter(
        x=[round(each.at_s / unit_s, 5) for each in faults],
        y=[words(each.row) for each in faults],
        customdata=[[each.trial, words(each.told)] for each in faults],
        mode="markers",
        marker={"symbol": "x", "size": 10, "color": STATE_COLOURS["failed"]},
        name="fault",
        hovertemplate="trial %{customdata[0]}: %{customdata[1]}" + NO_BOX,
    )


def _mark_pauses(figure: go.Figure, schedule: Schedule, unit_s: float) -> None:
    """A line and a name each, on two levels; those close together tell theirs on hovering."""
    every = [at_s for at_s, _ in schedule.pauses]
    for number, (at_s, lasted_s) in enumerate(schedule.pauses):
        unit, size = _unit(lasted_s)
        name = f"paused {lasted_s / size:.3g} {unit}"
        near_s = NEAR * schedule.end_s
        is_close = sum(abs(at_s - other_s) < near_s for other_s in every) > 1
        part = at_s / schedule.end_s if schedule.end_s else 0.5
        side = "left" if part < NEAR_EDGE else "right" if part > 1 - NEAR_EDGE else "center"
        figure.add_vline(
            x=at_s / unit_s,
            line={"color": "rgba(128,128,128,0.9)", "dash": "dash", "width": 1},
            annotation={
                "text": SIGN if is_close else name, "hovertext": name, "yanchor": "bottom",
                "xanchor": "center" if is_close else side, "yshift": LEVEL_PX * (number % 2),
            },
            annotation_position="top",
        )  # fmt: skip
