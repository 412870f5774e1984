"""Chart of VEER by epoch, one curve per trial."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from results.analysis.run_view import RunView
from results.figures.style import (
    BEST_COLOUR,
    NO_BOX,
    STATE_COLOURS,
    STATE_NAMES,
    escape_template,
    new_figure,
    teacher_line,
    trial_lines,
)
from results.journal.history import RUNNING, TrialHistory

# Each of the best trials has its own trace, so that a page can highlight it. The others share one
# trace per group: Plotly gets slow with hundreds of traces.
MAX_OWN_TRACES = 20
# With more curves, lines are thin and nearly transparent, so that those below stay visible. Only
# their last points have the config in the hover text, which keeps the page small.
MAX_BOLD_CURVES = 100
# Sum of the opacities of the curves in a crowd, unless a curve would be below the minimum.
_CROWD_OPACITY = 60
_MIN_OPACITY = 0.1
MAX_CURVE_POINTS = 60
_LINES: dict[str, dict[str, Any]] = {
    "failed": {"width": 1, "dash": "dot"},
    "stopped_early": {"width": 1},
    "complete": {"width": 1.3},
    RUNNING: {"width": 1.3, "dash": "dash"},
    "repeat": {"width": 1.3, "dash": "dashdot"},
    "control": {"width": 1.3, "dash": "longdash"},
}
_COLOURS = {**STATE_COLOURS, "repeat": "#8a6fd1", "control": "#5aa9a9"}
_NAMES = {
    **STATE_NAMES,
    "failed": "failed, diverged",
    "repeat": "repeats of finalists",
    "control": "stopped trials, run to the end",
}
_OPACITIES = {"failed": 0.7, "stopped_early": 0.6}


def learning_curves(view: RunView) -> go.Figure | None:
    """Draw VEER by epoch of all trials, with rungs, last phase and teacher; None without VEER."""
    trials = [trial for trial in view.histories if trial.best is not None]
    if not trials:
        return None
    figure = new_figure("epoch", "VEER, %")
    own = {trial.trial for trial in view.ranked[:MAX_OWN_TRACES] if trial.state != "stopped_early"}
    others = [trial for trial in trials if trial is not view.best]
    for group in _LINES:
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
    _mark_epochs(figure, view, last)
    teacher_line(figure, view.teacher_veer_pct)
    return figure


def points_of(trial: TrialHistory) -> list[tuple[int, float | None]]:
    """Return pairs of epoch and VEER in percent, with None where it could not be measured.

    Epochs that were not to be evaluated are left out, so that the line has no gap there. Long
    curves are thinned evenly, but keep their first, last and best epoch.
    """
    evaluated = (record for record in trial.in_order if not record.is_unevaluated)
    points = [(record.epoch, record.veer_pct) for record in evaluated]
    if len(points) > MAX_CURVE_POINTS:
        step = (len(points) - 1) / (MAX_CURVE_POINTS - 2)
        kept = {round(step * number) for number in range(MAX_CURVE_POINTS - 1)}
        best = None if trial.best is None else trial.best.epoch
        points = [point for index, point in enumerate(points) if index in kept or point[0] == best]
    return [(epoch, None if veer is None else round(veer, 3)) for epoch, veer in points]


def _group(trial: TrialHistory) -> str:
    if trial.follow_up in _LINES:
        return str(trial.follow_up)
    state = "failed" if trial.state == "diverged" else trial.state
    return state if state in _LINES else RUNNING


def _look(group: str) -> dict[str, Any]:
    return {
        "mode": "lines",
        "line": {"color": _COLOURS[group], **_LINES[group]},
        "opacity": _OPACITIES.get(group, 0.9),
        "legendgroup": group,
        "name": _NAMES[group],
    }


def _add_shared(
    figure: go.Figure, view: RunView, group: str, trials: Sequence[TrialHistory]
) -> None:
    """Add many curves as one trace with gaps between them."""
    if not trials:
        return
    x: list[int | None] = []
    y: list[float | None] = []
    custom: list[list[Any]] = []
    has_details = len(view.histories) <= MAX_BOLD_CURVES
    for trial in trials:
        points = points_of(trial)
        x += [*(epoch for epoch, _ in points), None]
        y += [*(veer for _, veer in points), None]
        details = trial_lines(view, trial)
        brief = details if has_details else f"trial {trial.trial}, click for the config"
        custom += [[trial.trial, brief]] * (len(points) - 1)
        custom += [[trial.trial, details], [trial.trial, ""]]
    look = _look(group)
    # A line through a single point is not visible.
    if any(len(trial.epochs) == 1 for trial in trials):
        look |= {"mode": "lines+markers", "marker": {"size": 3, "color": _COLOURS[group]}}
    if len(trials) > MAX_BOLD_CURVES:
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
    """Make the lines of a crowd thin and transparent; an empty trace keeps the legend readable."""
    figure.add_trace(go.Scatter(x=[None], y=[None], hoverinfo="skip", **look))
    look["line"] = look["line"] | {"width": 0.7}
    look["opacity"] = max(_MIN_OPACITY, min(look["opacity"], _CROWD_OPACITY / num_trials))


def _own_trace(view: RunView, trial: TrialHistory, group: str) -> go.Scatter:
    points = points_of(trial)
    look = _look(group)
    if len(points) == 1:
        look["mode"] = "markers"
        look["marker"] = {"size": 4, "color": _COLOURS[group]}
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
        line={"color": BEST_COLOUR, "width": 3.5},
        marker={"size": 5, "color": BEST_COLOUR},
        legendgroup="best",
        name=f"best: trial {trial.trial}",
    )


def _template(view: RunView, trial: TrialHistory) -> str:
    return f"epoch %{{x}}: %{{y:.2f}} %<br>{escape_template(trial_lines(view, trial))}{NO_BOX}"


def _show_each_group_once(figure: go.Figure) -> None:
    # Else the legend would list every trace of a group.
    seen = set()
    for trace in figure.data:
        trace.showlegend = trace.legendgroup not in seen
        seen.add(trace.legendgroup)


def _mark_epochs(figure: go.Figure, view: RunView, last: int) -> None:
    """Draw a line at each rung, and where the last phase of the best trial begins."""
    marks = {float(rung): f"rung {rung:g}" for rung in view.rungs if rung <= last}
    best = () if view.best is None else view.best.in_order
    if (phase := next((each.epoch for each in best if each.is_last_phase), None)) is not None:
        marks[phase - 0.5] = "last phase"
    for epoch, text in marks.items():
        figure.add_vline(
            x=epoch,
            line={"color": "rgba(128,128,128,0.6)", "dash": "dot", "width": 1},
            annotation={"text": text, "textangle": -90, "yanchor": "top"},
            annotation_position="top left",
        )
