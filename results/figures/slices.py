"""Small charts of VEER against each parameter that varied."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from results.analysis.run_view import RunView
from results.figures.style import (
    BEST_COLOUR,
    NO_BOX,
    STATE_COLOURS,
    STATE_NAMES,
    axis,
    base_layout,
    format_value,
    label_text,
    log_ticks,
    trial_lines,
)
from results.figures.values import Scale, scale_of
from results.journal.history import TrialHistory

_NUM_COLUMNS = 3
ROW_PX = 240
# The part of a row for an axis and its title.
GAP_PX = 70
# Letters in all category names of a chart: with more, it needs the full width; with few, the names
# fit side by side.
_MAX_SHARED_LETTERS = 40
_MAX_FLAT_LETTERS = 12
MAX_LABEL_CHARS = 22
LETTER_PX = 7
# With more trials the hover text has no config, which would be repeated for each parameter.
_MAX_DETAILED_TRIALS = 150
_SYMBOLS: Mapping[str, str] = MappingProxyType({"stopped_early": "circle-open"})


def slices(view: RunView) -> go.Figure | None:
    """Draw VEER by each parameter that varied; None without a VEER or where nothing varied."""
    trials = view.ranked
    names = [name for name in view.varied if any(name in trial.params for trial in trials)]
    if not names:
        return None
    scales = {name: scale_of(view, name) for name in names}
    rows = _in_rows(names, scales)
    figure = _grid(rows, scales)
    for row, members in enumerate(rows, start=1):
        for column, name in enumerate(members, start=1):
            scale = scales[name]
            for trace in _traces(view, name, scale, is_first=row == column == 1):
                figure.add_trace(trace, row=row, col=column)
            figure.update_xaxes(
                **axis(label_text(view.short_names[name])),
                **_scale_axis(view, name, scale),
                row=row,
                col=column,
            )
        figure.update_yaxes(title={"text": "VEER, %"}, row=row, col=1)
    return figure


def _in_rows(names: Sequence[str], scales: Mapping[str, Scale]) -> list[list[str]]:
    """Return rows of three charts; charts with long category names follow, one per row."""
    wide = [name for name in names if sum(map(len, _labels(scales[name]))) > _MAX_SHARED_LETTERS]
    others = [name for name in names if name not in wide]
    columns = max(min(_NUM_COLUMNS, len(others)), 1)
    rows = [others[first : first + columns] for first in range(0, len(others), columns)]
    return [*rows, *([name] for name in wide)]


def _grid(rows: Sequence[Sequence[str]], scales: Mapping[str, Scale]) -> go.Figure:
    """Return empty charts with room for category names that are written vertically."""
    columns = max(map(len, rows))
    is_wide = [
        len(row) == 1 and sum(map(len, _labels(scales[row[0]]))) > _MAX_SHARED_LETTERS
        for row in rows
    ]
    specs: list[list[dict[str, int] | None]] = [
        [{"colspan": columns}, *[None] * (columns - 1)]
        if wide
        else [{} if column < len(row) else None for column in range(columns)]
        for row, wide in zip(rows, is_wide, strict=True)
    ]
    *above_px, last_px = [_upright_px([scales[name] for name in row]) for row in rows]
    between_px = GAP_PX + max(above_px, default=0)
    # Plotly takes the spacing as a fraction of the height of all plots.
    plots_px = (ROW_PX - GAP_PX) * len(rows) + between_px * (len(rows) - 1)
    figure = make_subplots(
        rows=len(rows), cols=columns, specs=specs, shared_yaxes="all", horizontal_spacing=0.03,
        vertical_spacing=between_px / plots_px if len(rows) > 1 else 0,
    )  # fmt: skip
    figure.update_layout(**base_layout(90 + GAP_PX + plots_px + last_px))
    figure.update_yaxes(**axis(""))
    return figure


def _labels(scale: Scale) -> list[str]:
    return [format_value(each, MAX_LABEL_CHARS) for each in scale.categories]


def _upright_px(scales: Iterable[Scale]) -> int:
    """Return the height for vertical names, where they may not fit side by side."""
    every = [
        labels for scale in scales if sum(map(len, labels := _labels(scale))) > _MAX_FLAT_LETTERS
    ]
    return LETTER_PX * max((len(label) for labels in every for label in labels), default=0)


def _traces(view: RunView, name: str, scale: Scale, *, is_first: bool) -> list[go.Scatter]:
    trials = [trial for trial in view.ranked if name in trial.params]
    states = sorted({trial.state for trial in trials}, reverse=True)
    traces = []
    for state in states:
        members = [t for t in trials if t.state == state and t is not view.best]
        if members:
            look = {
                "color": STATE_COLOURS[state],
                "size": 5 if len(trials) > _MAX_DETAILED_TRIALS else 7,
                "symbol": _SYMBOLS.get(state, "circle"),
            }
            trace = _points(view, name, scale, members)
            trace.update(marker=look, name=STATE_NAMES[state], legendgroup=state)
            traces.append(trace)
    if view.best in trials:
        trace = _points(view, name, scale, trials[:1])
        trace.update(
            marker={"color": BEST_COLOUR, "size": 11, "symbol": "diamond"},
            name=f"best: trial {trials[0].trial}",
            legendgroup="best",
        )
        traces.append(trace)
    for trace in traces:
        trace.showlegend = is_first
    return traces


def _points(view: RunView, name: str, scale: Scale, trials: Sequence[TrialHistory]) -> go.Scatter:
    values = [trial.params[name] for trial in trials]
    custom: list[list[Any]]
    if len(view.ranked) <= _MAX_DETAILED_TRIALS:
        custom = [[trial.trial, trial_lines(view, trial)] for trial in trials]
        hover = "%{customdata[1]}"
    else:
        custom = [[trial.trial, format_value(trial.params[name])] for trial in trials]
        short = label_text(view.short_names[name])
        hover = f"<b>trial %{{customdata[0]}}</b><br>{short}: %{{customdata[1]}}<br>%{{y:.2f}} %"
    return go.Scatter(
        x=[scale.index_of(value) if scale.is_category else value for value in values],
        y=[round(t.best_veer_pct, 3) for t in trials if t.best_veer_pct is not None],
        customdata=custom,
        mode="markers",
        hovertemplate=hover + NO_BOX,
    )


def _scale_axis(view: RunView, name: str, scale: Scale) -> dict[str, Any]:
    if scale.is_category:
        return {
            "tickvals": list(range(len(scale.categories))),
            "ticktext": _labels(scale),
            # Only horizontal or vertical: Plotly omits slanted labels that would leave the chart.
            "autotickangles": [0, -90],
            "ticklabeloverflow": "allow",
            "range": [-0.5, len(scale.categories) - 0.5],
        }
    if scale.is_log:
        values = [trial.params[name] for trial in view.ranked if name in trial.params]
        return log_ticks(values, min_ticks=2)
    return {}
