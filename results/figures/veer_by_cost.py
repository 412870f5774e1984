"""Charts of VEER against cost: one point per trial, and the Pareto front.

The cost is the CPU latency (`veer_by_latency`) or the number of parameters
(`veer_by_parameters`). `veer_by_cost` draws both charts from a `CostAxis`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from results.analysis.run_view import RunView
from results.figures.style import (
    BEST_COLOUR,
    FRONT_COLOUR,
    NO_BOX,
    STATE_COLOURS,
    STATE_NAMES,
    TEACHER_COLOUR,
    axis,
    error_bars,
    escape_template,
    log_ticks,
    new_figure,
    spans_decades,
    trial_lines,
)
from results.journal.history import TrialHistory

# With more trials, only the best one has error bars, since they would cover the points.
MAX_ERROR_BARS = 100
# Latencies within this fraction of each other count as equal: two benchmarks of the same network
# differ by about as much.
LATENCY_TOLERANCE = 0.02
# Where the teacher costs more than this many times the costliest student, the axis is logarithmic:
# on a linear one all students would lie in the lower half.
TEACHER_MIN_RATIO = 2.0
# The VEER axis shows at least this many percentage points: smaller differences are mostly noise.
_MIN_SPAN_PCT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAxis:
    """The horizontal axis of a chart of VEER against cost.

    Attributes:
        title: Title of the axis, with the unit.
        hover_name: Name of the value in hover text.
        hover_format: Format of the value in hover text, in d3's notation.
        values: Costs by trial number; a trial without one is not drawn.
        teacher: Cost of the teacher; None where it is unknown.
        upper_ends: Upper ends of the horizontal bars, by trial number; a trial without one has no
            bar.
        tolerance: Costs count as equal where one exceeds the other by at most this fraction.
    """

    title: str
    hover_name: str
    hover_format: str
    values: Mapping[int, float]
    teacher: float | None
    upper_ends: Mapping[int, float] = field(default_factory=dict)
    tolerance: float = 0.0


def veer_by_latency(view: RunView) -> go.Figure | None:
    """Draw VEER against median CPU latency of one utterance; None without a benchmark."""
    speeds = view.speeds
    threads = {row.num_threads for row in speeds.values()}
    threads_text = ", ".join(f"{number} thread{'s' * (number > 1)}" for number in sorted(threads))
    cost = CostAxis(
        title=f"median CPU latency, ms, {threads_text}",
        hover_name="latency (ms)",
        hover_format=".2f",
        values={trial: round(row.latency_median_ms, 4) for trial, row in speeds.items()},
        teacher=None if view.teacher_speed is None else view.teacher_speed.latency_median_ms,
        upper_ends=p95_latencies_ms(view),
        tolerance=LATENCY_TOLERANCE,
    )
    return veer_by_cost(view, cost)


def p95_latencies_ms(view: RunView) -> dict[int, float]:
    """Return the 95th percentile of the latency in ms by trial number, where it was measured."""
    return {trial: round(row.latency_p95_ms, 4) for trial, row in view.speeds.items()}


def veer_by_parameters(view: RunView) -> go.Figure | None:
    """Draw VEER against the number of parameters; None where no trial has that number."""
    last = {trial.trial: trial.last for trial in view.ranked}
    sizes = {
        number: record.num_params
        for number, record in last.items()
        if record is not None and record.num_params
    }
    cost = CostAxis(
        title="parameters of the network",
        hover_name="parameters",
        hover_format=",",
        values=sizes,
        teacher=None if view.teacher is None else view.teacher.num_params,
    )
    return veer_by_cost(view, cost)


def veer_by_cost(view: RunView, cost: CostAxis) -> go.Figure | None:
    """Draw VEER against a cost, with the Pareto front; None where no trial has both."""
    trials = [trial for trial in view.ranked if trial.trial in cost.values]
    if not trials:
        return None
    figure = new_figure(cost.title, "VEER, %")
    _add_front(figure, trials, cost)
    # In reverse order, so that "complete" is drawn on top of the other states.
    for state in sorted({trial.state for trial in trials}, reverse=True):
        members = [t for t in trials if t.state == state and t is not view.best]
        if members:
            figure.add_trace(_points(view, members, cost, STATE_COLOURS[state]))
            figure.data[-1].name = STATE_NAMES[state]
    if view.best in trials:
        best = _points(view, trials[:1], cost, BEST_COLOUR)
        best.update(
            name=f"best: trial {trials[0].trial}", marker={"size": 13, "symbol": "diamond"}
        )
        figure.add_trace(best)
    _add_teacher(figure, view, cost)
    _widen_veer_axis(figure)
    costs = [cost.values[trial.trial] for trial in trials]
    is_squeezed = False
    if cost.teacher is not None:
        is_squeezed = spans_decades([max(costs), cost.teacher], TEACHER_MIN_RATIO)
        costs.append(cost.teacher)
    if is_squeezed or spans_decades(costs):
        figure.update_xaxes(**axis(f"{cost.title}, log scale", **log_ticks(costs)))
    return figure


def _add_front(figure: go.Figure, trials: list[TrialHistory], cost: CostAxis) -> None:
    points = [
        (cost.values[trial.trial], trial.best_veer_pct)
        for trial in trials
        if trial.best_veer_pct is not None
    ]
    front = _front_with_tolerance(points, cost.tolerance)
    figure.add_trace(
        go.Scatter(
            x=[points[index][0] for index in front],
            y=[round(points[index][1], 4) for index in front],
            customdata=[[trials[index].trial] for index in front],
            mode="lines+markers",
            # Steps, not slopes: no student exists between two points of the front.
            line={"color": FRONT_COLOUR, "width": 1.5, "shape": "hv"},
            marker={"size": 13, "symbol": "circle-open", "color": FRONT_COLOUR},
            name="Pareto front: no point is better in both",
            hoverinfo="skip",
        )
    )


def _front_with_tolerance(points: list[tuple[float, float]], tolerance: float) -> list[int]:
    """Return the Pareto front without points that a better one nearly equals in cost.

    Args:
        points: Pairs of cost and VEER.
        tolerance: Costs count as equal where one exceeds the other by at most this fraction.

    Returns:
        Indices in `points`, in ascending order of the cost.
    """
    # From the highest cost, so from the lowest VEER: what is kept last is better than the next.
    kept: list[int] = []
    for index in reversed(pareto_front(points)):
        cost, veer_pct = points[index]
        better = points[kept[-1]] if kept else None
        if better is None or better[1] >= veer_pct or better[0] > cost * (1 + tolerance):
            kept.append(index)
    return kept[::-1]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the Pareto-optimal points, where both values are to be low.

    A point is on the front if no other is at most as high in both values and lower in one.

    Args:
        points: Pairs of finite values.

    Returns:
        Indices in `points`, in ascending order of the first value; of equal points all.
    """
    order = sorted(range(len(points)), key=points.__getitem__)
    front: list[int] = []
    for index in order:
        last = points[front[-1]] if front else None
        if last is None or points[index][1] < last[1] or points[index] == last:
            front.append(index)
    return front


def _points(view: RunView, trials: list[TrialHistory], cost: CostAxis, colour: str) -> go.Scatter:
    is_crowded = len(view.ranked) > MAX_ERROR_BARS and trials != [view.best]
    bars = None if is_crowded else error_bars(trials)
    cost_text = f"{cost.hover_name}: %{{x:{cost.hover_format}}}"
    return go.Scatter(
        x=[cost.values[trial.trial] for trial in trials],
        y=[round(t.best_veer_pct, 4) for t in trials if t.best_veer_pct is not None],
        error_y=None if bars is None else {**bars, "color": colour},
        error_x=None if is_crowded else _horizontal_bars(trials, cost, colour),
        customdata=[[trial.trial, trial_lines(view, trial)] for trial in trials],
        mode="markers",
        marker={"color": colour, "size": 5 if is_crowded else 8, "line": {"width": 0}},
        hovertemplate=f"%{{customdata[1]}}<br>{cost_text}{NO_BOX}",
    )


def _horizontal_bars(
    trials: list[TrialHistory], cost: CostAxis, colour: str
) -> dict[str, Any] | None:
    """Return Plotly's error bars to the right; None where no trial has one."""
    ends = [(cost.values[trial.trial], cost.upper_ends.get(trial.trial)) for trial in trials]
    array = [None if high is None else round(max(high - at, 0.0), 4) for at, high in ends]
    if all(length is None for length in array):
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": array,
        "arrayminus": [0.0] * len(array),
        "thickness": 1,
        "width": 3,
        "color": colour,
    }


def _add_teacher(figure: go.Figure, view: RunView, cost: CostAxis) -> None:
    veer_pct = view.teacher_veer_pct
    if cost.teacher is None or veer_pct is None:
        return
    text = escape_template(f"<b>teacher</b><br>VEER: {veer_pct:.2f} %")
    figure.add_trace(
        go.Scatter(
            x=[cost.teacher],
            y=[round(veer_pct, 4)],
            mode="markers",
            marker={"symbol": "star", "size": 16, "color": TEACHER_COLOUR},
            name="teacher",
            hovertemplate=f"{text}<br>{cost.hover_name}: %{{x:{cost.hover_format}}}{NO_BOX}",
        )
    )


def _widen_veer_axis(figure: go.Figure) -> None:
    """Set the range of the VEER axis where points and bars span less than its minimum."""
    ends: list[float] = []
    for trace in figure.data:
        up, down = trace.error_y.array, trace.error_y.arrayminus
        ends += trace.y
        ends += [y + more for y, more in zip(trace.y, up or (), strict=False) if more]
        ends += [y - less for y, less in zip(trace.y, down or (), strict=False) if less]
    low, high = min(ends), max(ends)
    if high - low < _MIN_SPAN_PCT:
        middle, half = (low + high) / 2, 0.55 * _MIN_SPAN_PCT
        figure.update_yaxes(range=[middle - half, middle + half])
