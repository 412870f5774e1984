"""VEER against the time of one utterance on a CPU."""

import plotly.graph_objects as go

from results.figures.veer_by_cost import Cost, veer_by_cost
from results.run_view import RunView


def veer_by_latency(view: RunView) -> go.Figure | None:
    """VEER against median CPU latency of one utterance; None where none was measured."""
    speeds = view.speeds
    threads = {row["num_threads"] for row in speeds.values()}
    words = ", ".join(f"{number} thread{'s' * (number > 1)}" for number in sorted(threads))
    cost = Cost(
        title=f"median CPU latency, ms, {words}",
        short="latency (ms)",
        form=".2f",
        values={trial: round(row["latency_median_ms"], 4) for trial, row in speeds.items()},
        teacher=None if view.teacher_speed is None else view.teacher_speed["latency_median_ms"],
    )
    return veer_by_cost(view, cost)
