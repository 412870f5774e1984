"""VEER against each varied parameter, one small chart each."""

from collections.abc import Mapping, Sequence
from math import ceil
from types import MappingProxyType
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from results.figures.style import (
    BEST,
    NO_BOX,
    STATE_COLOURS,
    STATE_WORDS,
    axis,
    base_layout,
    digits,
    log_ticks,
    trial_lines,
    words,
)
from results.figures.values import Scale, scale_of
from results.history import TrialHistory
from results.run_view import RunView

NUM_COLUMNS = 3
ROW_PX = 240
# Above this, what is said on hovering leaves the config out: it would be told once a parameter.
MOST_TOLD = 150
SYMBOLS: Mapping[str, str] = MappingProxyType({"stopped_early": "circle-open"})


def slices(view: RunView) -> go.Figure | None:
    """VEER by each parameter that varied; None without a VEER or where nothing varied."""
    trials = view.ranked
    names = [name for name in view.varied if any(name in trial.params for trial in trials)]
    if not names:
        return None
    columns = min(NUM_COLUMNS, len(names))
    rows = ceil(len(names) / columns)
    figure = make_subplots(
        rows=rows, cols=columns, shared_yaxes="all", horizontal_spacing=0.03,
        vertical_spacing=min(0.5, 70 / (ROW_PX * rows)),
    )  # fmt: skip
    figure.update_layout(**base_layout(90 + ROW_PX * rows))
    figure.update_yaxes(**axis(""))
    for place, name in enumerate(names):
        row, column = place // columns + 1, place % columns + 1
        scale = scale_of(view, name)
        for trace in _traces(view, name, scale, is_first=place == 0):
            figure.add_trace(trace, row=row, col=column)
        figure.update_xaxes(
            **axis(words(view.short_names[name])), **_axis_of(view, name, scale), row=row,
            col=column,
        )  # fmt: skip
        if column == 1:
            figure.update_yaxes(title={"text": "VEER, %"}, row=row, col=column)
    return figure


def _traces(view: RunView, name: str, scale: Scale, *, is_first: bool) -> list[go.Scatter]:
    trials = [trial for trial in view.ranked if name in trial.params]
    states = sorted({trial.state for trial in trials}, reverse=True)
    traces = []
    for state in states:
        members = [t for t in trials if t.state == state and t is not view.best]
        if members:
            look = {
                "color": STATE_COLOURS[state],
                "size": 5 if len(trials) > MOST_TOLD else 7,
                "symbol": SYMBOLS.get(state, "circle"),
            }
            trace = _points(view, name, scale, members)
            trace.update(marker=look, name=STATE_WORDS[state], legendgroup=state)
            traces.append(trace)
    if view.best in trials:
        trace = _points(view, name, scale, trials[:1])
        trace.update(
            marker={"color": BEST, "size": 11, "symbol": "diamond"},
            name=f"best: trial {trials[0].trial}",
            legendgroup="best",
        )
        traces.append(trace)
    for trace in traces:
        trace.showlegend = is_first
    return traces


def _points(
    view: RunView, name: str, scale: Scale, trials: Sequence[TrialHistory]
) -> go.Scatter:
    values = [trial.params[name] for trial in trials]
    custom: list[list[Any]]
    if len(view.ranked) <= MOST_TOLD:
        custom = [[trial.trial, trial_lines(view, trial)] for trial in trials]
        said = "%{customdata[1]}"
    else:
        custom = [[trial.trial, digits(trial.params[name])] for trial in trials]
        short = words(view.short_names[name])
        said = f"<b>trial %{{customdata[0]}}</b><br>{short}: %{{customdata[1]}}<br>%{{y:.2f}} %"
    return go.Scatter(
        x=[scale.place(value) if scale.is_category else value for value in values],
        y=[round(trial.best["veer_pct"], 3) for trial in trials if trial.best],
        customdata=custom,
        mode="markers",
        hovertemplate=said + NO_BOX,
    )


def _axis_of(view: RunView, name: str, scale: Scale) -> dict[str, Any]:
    if scale.is_category:
        return {
            "tickvals": list(range(len(scale.categories))),
            "ticktext": [digits(each) for each in scale.categories],
            "range": [-0.5, len(scale.categories) - 0.5],
        }
    if scale.is_log:
        values = [trial.params[name] for trial in view.ranked if name in trial.params]
        return log_ticks(values, least=2)
    return {}
