"""VEER against the time of one utterance on a CPU."""

import plotly.graph_objects as go

from results.figures.veer_by_cost import Cost, veer_by_cost
from results.tables.run_view import RunView

# Two benchmarks of one network differ by about so much.
SAME_LATENCY = 0.02


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
        highs=highs_of(view),
        tie=SAME_LATENCY,
    )
    return veer_by_cost(view, cost)


def highs_of(view: RunView) -> dict[int, float]:
    """The time, ms, that 95 % of a student's calls stayed within, by trial, where it was told."""
    told = {trial: row.get("latency_p95_ms") for trial, row in view.speeds.items()}
    return {trial: round(high_ms, 4) for trial, high_ms in told.items() if high_ms is not None}
