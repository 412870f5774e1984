"""Charts of a run with several goals: VEER against each cost, and the volume over epochs."""

import plotly.graph_objects as go

from results.analysis.front import cost_of
from results.analysis.front_volume import front_volume
from results.analysis.run_view import RunView
from results.figures.style import FRONT_COLOUR, NO_BOX, new_figure
from results.figures.veer_by_cost import CostAxis, veer_by_cost
from results.journal.goals import Goal


def veer_by_cpu_time(view: RunView) -> go.Figure | None:
    """Draw VEER against the time over the teacher's; None where that is no goal."""
    cost = CostAxis(
        title="CPU time / teacher, one thread",
        hover_name="CPU time / teacher",
        hover_format=".3f",
        values=_known(view, "cpu_latency"),
        teacher=1.0,
    )
    return veer_by_cost(view, cost)


def veer_by_macs(view: RunView) -> go.Figure | None:
    """Draw VEER against multiply-accumulates; None where they are no goal."""
    cost = CostAxis(
        title="multiply-accumulates of an utterance of 2 s",
        hover_name="multiply-accumulates",
        hover_format=",",
        values=_known(view, "macs"),
        teacher=None,
    )
    return veer_by_cost(view, cost)


def volume_by_epoch(view: RunView) -> go.Figure | None:
    """Draw the share of the volume that the trials dominate, by epochs; None with one goal."""
    volume = front_volume(view.own, view.records, view.goals)
    if volume is None:
        return None
    figure = new_figure("epochs of all trials", "share of the volume")
    figure.add_trace(
        go.Scatter(
            x=volume.epochs,
            y=[round(share, 5) for share in volume.shares],
            mode="lines",
            line={"color": FRONT_COLOUR, "width": 2, "shape": "hv"},
            name="dominated volume",
            hovertemplate=f"%{{x:,}} epochs: %{{y:.4f}}{NO_BOX}",
        )
    )
    return figure


def _known(view: RunView, goal: Goal) -> dict[int, float]:
    costs = {trial.trial: cost_of(trial, goal) for trial in view.ranked}
    return {number: round(cost, 4) for number, cost in costs.items() if cost is not None}
