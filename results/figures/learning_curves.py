"""VEER by epoch, a curve a trial."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from results.figures.style import (
    BEST,
    NO_BOX,
    STATE_COLOURS,
    STATE_WORDS,
    literal,
    new_figure,
    teacher_line,
    trial_lines,
)
from results.journal.history import RUNNING, TrialHistory
from results.tables.run_view import RunView

# Curves with a trace of their own, so that a page can single them out; the rest share one a group.
MOST_OWN = 20
# Above so many lines are thin and nearly clear, so that what lies beneath is seen; and the config
# is told at their last points only.
MOST_BOLD = 100
# At most so much of a colour is laid on by all the curves of a crowd at one place, about.
CROWD_OPACITY = 60
LEAST_OPACITY = 0.1
MOST_POINTS = 60
LOOKS: dict[str, dict[str, Any]] = {
    "failed": {"width": 1, "dash": "dot"},
    "stopped_early": {"width": 1},
    "complete": {"width": 1.3},
    RUNNING: {"width": 1.3, "dash": "dash"},
    "repeat": {"width": 1.3, "dash": "dashdot"},
    "control": {"width": 1.3, "dash": "longdash"},
}
COLOURS = {**STATE_COLOURS, "repeat": "#8a6fd1", "control": "#5aa9a9"}
NAMES = {
    **STATE_WORDS,
    "failed": "failed, diverged",
    "repeat": "repeats of finalists",
    "control": "stopped ones run to the end",
}
FAINT = {"failed": 0.7, "stopped_early": 0.6}


def learning_curves(view: RunView) -> go.Figure | None:
    """VEER by epoch of every trial, rungs and the teacher marked; None without a VEER."""
    trials = [trial for trial in view.histories if trial.best is not None]
    if not trials:
        return None
    figure = new_figure("epoch", "VEER, %")
    own = {trial.trial for trial in view.ranked[:MOST_OWN] if trial.state != "stopped_early"}
    others = [trial for trial in trials if trial is not view.best]
    for group in LOOKS:
        members = [trial for trial in others if _group(trial) == group]
        _add_shared(figure, view, group, [each for each in members if each.trial not in own])
    for trial in others:
        if trial.trial in own:
            figure.add_trace(_own_trace(view, trial, _group(trial)))
    if view.best is not None:
        figure.add_trace(_best_trace(view, view.best))
    _show_each_group_once(figure)
    last = max(max(trial.epochs) for trial in trials)
    figure.update_xaxes(range=[0.5, last + 0.5])
    _mark_rungs(figure, view, last)
    teacher_line(figure, view.teacher_veer_pct)
    return figure


def points_of(trial: TrialHistory) -> list[tuple[int, float | None]]:
    """Epochs and VEERs in percent, a gap where none was measured; long curves thinned.

    Thinned evenly; first, last and best epoch stay.
    """
    points = [(record["epoch"], record["veer_pct"]) for record in trial.in_order]
    if len(points) > MOST_POINTS:
        step = (len(points) - 1) / (MOST_POINTS - 2)
        kept = {round(step * number) for number in range(MOST_POINTS - 1)}
        best = None if trial.best is None else trial.best["epoch"]
        points = [point for place, point in enumerate(points) if place in kept or point[0] == best]
    return [(epoch, None if veer is None else round(veer, 3)) for epoch, veer in points]


def _group(trial: TrialHistory) -> str:
    if trial.follow_up in LOOKS:
        return str(trial.follow_up)
    state = "failed" if trial.state == "diverged" else trial.state
    return state if state in LOOKS else RUNNING


def _look(group: str) -> dict[str, Any]:
    return {
        "mode": "lines",
        "line": {"color": COLOURS[group], **LOOKS[group]},
        "opacity": FAINT.get(group, 0.9),
        "legendgroup": group,
        "name": NAMES[group],
    }


def _add_shared(
    figure: go.Figure, view: RunView, group: str, trials: Sequence[TrialHistory]
) -> None:
    """Adds many curves as one trace with gaps; of a crowd their ends alone tell the config."""
    if not trials:
        return
    x: list[int | None] = []
    y: list[float | None] = []
    custom: list[list[Any]] = []
    is_told = len(view.histories) <= MOST_BOLD
    for trial in trials:
        points = points_of(trial)
        x += [*(epoch for epoch, _ in points), None]
        y += [*(veer for _, veer in points), None]
        said = trial_lines(view, trial)
        brief = said if is_told else f"trial {trial.trial}, click it for the config"
        custom += [[trial.trial, brief]] * (len(points) - 1)
        custom += [[trial.trial, said], [trial.trial, ""]]
    look = _look(group)
    if any(len(trial.epochs) == 1 for trial in trials):
        look |= {"mode": "lines+markers", "marker": {"size": 3, "color": COLOURS[group]}}
    if len(trials) > MOST_BOLD:
        _thin(figure, look, len(trials))
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            customdata=custom,
            connectgaps=False,
            hovertemplate="epoch %{x}: %{y:.2f} %<br>%{customdata[1]}" + NO_BOX,
            **look,
        )
    )


def _thin(figure: go.Figure, look: dict[str, Any], num_trials: int) -> None:
    """Makes a crowd's lines thin and clear; the legend has a line of its own that is neither."""
    figure.add_trace(go.Scatter(x=[None], y=[None], hoverinfo="skip", **look))
    look["line"] = look["line"] | {"width": 0.7}
    look["opacity"] = max(LEAST_OPACITY, min(look["opacity"], CROWD_OPACITY / num_trials))


def _own_trace(view: RunView, trial: TrialHistory, group: str) -> go.Scatter:
    points = points_of(trial)
    look = _look(group)
    if len(points) == 1:
        look["mode"] = "markers"
        look["marker"] = {"size": 4, "color": COLOURS[group]}
    return go.Scatter(
        x=[epoch for epoch, _ in points],
        y=[veer for _, veer in points],
        customdata=[[trial.trial]] * len(points),
        hovertemplate=_template(view, trial),
        **look,
    )


def _best_trace(view: RunView, trial: TrialHistory) -> go.Scatter:
    points = points_of(trial)
    return go.Scatter(
        x=[epoch for epoch, _ in points],
        y=[veer for _, veer in points],
        customdata=[[trial.trial]] * len(points),
        hovertemplate=_template(view, trial),
        mode="lines+markers",
        line={"color": BEST, "width": 3.5},
        marker={"size": 5, "color": BEST},
        legendgroup="best",
        name=f"best: trial {trial.trial}",
    )


def _template(view: RunView, trial: TrialHistory) -> str:
    return f"epoch %{{x}}: %{{y:.2f}} %<br>{literal(trial_lines(view, trial))}{NO_BOX}"


def _show_each_group_once(figure: go.Figure) -> None:
    seen = set()
    for trace in figure.data:
        trace.showlegend = trace.legendgroup not in seen
        seen.add(trace.legendgroup)


def _mark_rungs(figure: go.Figure, view: RunView, last: int) -> None:
    for rung in view.rungs:
        if rung <= last:
            figure.add_vline(
                x=rung,
                line={"color": "rgba(128,128,128,0.6)", "dash": "dot", "width": 1},
                annotation={"text": f"rung {rung:g}", "textangle": -90, "yanchor": "top"},
                annotation_position="top left",
            )
