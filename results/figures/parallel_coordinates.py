"""Parallel coordinates: each trial is a line through its parameters that ends at its VEER.

The chart consists of plain lines. Plotly's own parallel coordinates need WebGL and generate code
at run time, which the Content-Security-Policy of the page forbids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from results.analysis.run_view import RunView
from results.figures.style import (
    AXIS_COLOUR,
    BEST_COLOUR,
    NO_BOX,
    STATE_COLOURS,
    VEER_SCALE,
    label_text,
    new_figure,
    trial_lines,
)
from results.figures.values import Scale, scale_of
from results.journal.history import TrialHistory

_NUM_SHADES = 8
# Colours from low to high VEER.
_SHADES = tuple(
    sample_colorscale([list(stop) for stop in VEER_SCALE], part / (_NUM_SHADES - 1))[0]
    for part in range(_NUM_SHADES)
)
# With more lines, they are thin and transparent, so that those below stay visible.
_MAX_BOLD_LINES = 200
# Height at which a line crosses the axis of a parameter that the trial does not have.
NOT_USED_AT = -0.12
# Part of the axis over which the lines through one category are spread, the best lowest: otherwise
# they would coincide.
SPREAD = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The line of a trial: its height on each axis, from 0 to 1, or `NOT_USED_AT`."""

    trial: TrialHistory
    heights: tuple[float, ...]


def parallel_coordinates(view: RunView) -> go.Figure | None:
    """Draw lines through the parameters, coloured by VEER; None for fewer than two trials."""
    trials = view.ranked
    if len(trials) < 2 or not view.varied:
        return None
    scales = [scale_of(view, name) for name in view.varied]
    veers_pct = (trial.best_veer_pct for trial in trials)
    veer_scale = Scale.of_numbers(each for each in veers_pct if each is not None)
    lines = [_line(trial, view.varied, scales, veer_scale) for trial in trials]
    figure = new_figure("", "")
    stopped = [line for line in lines[1:] if line.trial.state == "stopped_early"]
    others = [line for line in lines[1:] if line.trial.state != "stopped_early"]
    is_crowd = len(lines) > _MAX_BOLD_LINES
    if stopped:
        look = {"color": STATE_COLOURS["stopped_early"], "width": 0.5 if is_crowd else 0.8}
        faint = 0.3 if is_crowd else 0.7
        figure.add_trace(_trace(view, stopped, look, name="stopped early", opacity=faint))
    for colour, members in zip(reversed(_SHADES), _group_by_shade(others), strict=True):
        if members:
            look = {"color": colour, "width": 0.7 if is_crowd else 1.2}
            figure.add_trace(_trace(view, members, look, opacity=0.5 if is_crowd else 1.0))
    # Last, so on top of the other lines.
    best = f"best: trial {lines[0].trial.trial}"
    figure.add_trace(_trace(view, lines[:1], {"color": BEST_COLOUR, "width": 3.5}, name=best))
    names = [label_text(view.short_names[name]) for name in view.varied]
    _draw_axes(figure, [*names, "VEER, %"], [*scales, veer_scale])
    if others:
        _colour_axis(figure, len(names), [line.heights[-1] for line in others])
    return figure


def _line(
    trial: TrialHistory, names: Sequence[str], scales: Sequence[Scale], veer_scale: Scale
) -> Line:
    last = veer_scale.height(trial.best_veer_pct)
    params = trial.params
    heights = []
    for name, scale in zip(names, scales, strict=True):
        if name not in params:
            heights.append(NOT_USED_AT)
        elif scale.is_category:
            heights.append(scale.height(params[name]) + SPREAD * (last - 0.5))
        else:
            heights.append(scale.height(params[name]))
    return Line(trial=trial, heights=(*heights, last))


def _group_by_shade(lines: Sequence[Line]) -> list[list[Line]]:
    """Return lines in groups of one colour, by equal ranges of VEER, the highest VEER first."""
    veers = [line.heights[-1] for line in lines]
    low, span = min(veers, default=0.0), max(veers, default=0.0) - min(veers, default=0.0)
    groups: list[list[Line]] = [[] for _ in range(_NUM_SHADES)]
    for line, veer in zip(lines, veers, strict=True):
        part = (veer - low) / span if span else 0.0
        groups[min(int(part * _NUM_SHADES), _NUM_SHADES - 1)].append(line)
    return groups[::-1]  # what is drawn last is on top


def _trace(
    view: RunView,
    lines: Sequence[Line],
    look: dict[str, Any],
    name: str | None = None,
    opacity: float = 1.0,
) -> go.Scatter:
    """Return many lines as one trace with gaps; the details of a trial appear at its VEER."""
    x: list[int | None] = []
    y: list[float | None] = []
    custom: list[list[Any]] = []
    for line in lines:
        number = line.trial.trial
        x += [*range(len(line.heights)), None]
        y += [*(round(height, 3) for height in line.heights), None]
        custom += [[number, f"trial {number}"]] * (len(line.heights) - 1)
        custom += [[number, trial_lines(view, line.trial)], [number, ""]]
    return go.Scatter(
        x=x,
        y=y,
        customdata=custom,
        mode="lines",
        line=look,
        opacity=opacity,
        name=name,
        showlegend=name is not None,
        hovertemplate="%{customdata[1]}" + NO_BOX,
    )


def _colour_axis(figure: go.Figure, axis_index: int, heights: Sequence[float]) -> None:
    """Colour the axis of the VEER like the lines that end there, as their legend."""
    low, high = min(heights), max(heights)
    for shade, colour in enumerate(_SHADES):
        ends = (low + (high - low) * (shade + each) / _NUM_SHADES for each in (0, 1))
        y0, y1 = (round(end, 4) for end in ends)
        line = {"color": colour, "width": 7}
        figure.add_shape(type="line", x0=axis_index, x1=axis_index, y0=y0, y1=y1, line=line)


def _draw_axes(figure: go.Figure, names: Sequence[str], scales: Sequence[Scale]) -> None:
    bare = {"showgrid": False, "showline": False}
    figure.update_xaxes(
        **bare,
        tickvals=list(range(len(names))),
        ticktext=names,
        range=[-0.2, len(names) - 0.5],
        side="top",
    )
    figure.update_yaxes(**bare, showticklabels=False, range=[NOT_USED_AT - 0.05, 1.06])
    figure.update_layout(legend={"y": -0.02, "yanchor": "top"}, margin={"t": 50, "l": 20})
    for axis_index, scale in enumerate(scales):
        figure.add_shape(
            type="line",
            x0=axis_index,
            x1=axis_index,
            y0=0,
            y1=1,
            line={"color": AXIS_COLOUR, "width": 1},
        )
        for height, text in scale.ticks():
            _label(figure, axis_index, height, text)
        if any(
            trace.y is not None and NOT_USED_AT in _at(trace, axis_index) for trace in figure.data
        ):
            _label(figure, axis_index, NOT_USED_AT, "not used")


def _at(trace: go.Scatter, axis_index: int) -> set[float | None]:
    return {y for x, y in zip(trace.x, trace.y, strict=True) if x == axis_index}


def _label(figure: go.Figure, axis_index: int, height: float, text: str) -> None:
    figure.add_annotation(
        x=axis_index,
        y=height,
        text=text,
        showarrow=False,
        xanchor="left",
        xshift=6,
        # The shadow contrasts with the text, so that lines behind it do not hide it.
        font={"size": 12, "shadow": "auto"},
    )
