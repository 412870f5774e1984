"""VEER against what a student costs: a point a trial, and the front that no trial beats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from results.figures.style import (
    BEST,
    FRONT,
    NO_BOX,
    STATE_COLOURS,
    STATE_WORDS,
    TEACHER,
    axis,
    error_bars,
    literal,
    log_ticks,
    new_figure,
    spans_decades,
    trial_lines,
)
from results.journal.history import TrialHistory
from results.tables.run_view import RunView


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the points that no other is at or below in both, and below in one.

    Args:
        points: Two finite costs each.

    Returns:
        Places in `points`, by the first cost, ascending; of equal points all.
    """
    order = sorted(range(len(points)), key=points.__getitem__)
    front: list[int] = []
    for place in order:
        last = points[front[-1]] if front else None
        if last is None or points[place][1] < last[1] or points[place] == last:
            front.append(place)
    return front


# Above so many trials only the best has error bars.
MOST_BARS = 100
# Points of VEER that the axis shows at least: smaller differences are mostly noise.
LEAST_SPAN_PCT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What stands on the horizontal axis.

    Attributes:
        title: Of the axis, with the unit.
        short: Before the value on hovering.
        form: The value's format there, as d3 has it.
        values: By trial number; a trial without one is not drawn.
        teacher: The teacher's, None where it is unknown.
        highs: Upper ends of the values' bars, by trial number; without one there is no bar.
        tie: Values of which one is above the other by at most this part count as equal.
    """

    title: str
    short: str
    form: str
    values: Mapping[int, float]
    teacher: float | None
    highs: Mapping[int, float] = field(default_factory=dict)
    tie: float = 0.0


def veer_by_cost(view: RunView, cost: Cost) -> go.Figure | None:
    """VEER against a cost, by state, with the Pareto front; None where no trial has both."""
    trials = [trial for trial in view.ranked if trial.trial in cost.values]
    if not trials:
        return None
    figure = new_figure(cost.title, "VEER, %")
    _add_front(figure, trials, cost)
    # The best last, so on top.
    for state in sorted({trial.state for trial in trials}, reverse=True):
        members = [t for t in trials if t.state == state and t is not view.best]
        if members:
            figure.add_trace(_points(view, members, cost, STATE_COLOURS[state]))
            figure.data[-1].name = STATE_WORDS[state]
    if view.best in trials:
        best = _points(view, trials[:1], cost, BEST)
        best.update(
            name=f"best: trial {trials[0].trial}", marker={"size": 13, "symbol": "diamond"}
        )
        figure.add_trace(best)
    _add_teacher(figure, view, cost)
    _widen(figure)
    every = [cost.values[trial.trial] for trial in trials]
    if cost.teacher is not None:
        every.append(cost.teacher)
    if spans_decades(every):
        figure.update_xaxes(**axis(f"{cost.title}, log scale", **log_ticks(every)))
    return figure


def _points(view: RunView, trials: list[TrialHistory], cost: Cost, colour: str) -> go.Scatter:
    is_crowded = len(view.ranked) > MOST_BARS and trials != [view.best]
    bars = None if is_crowded else error_bars(trials)
    return go.Scatter(
        x=[cost.values[trial.trial] for trial in trials],
        y=[round(trial.best["veer_pct"], 4) for trial in trials if trial.best],
        error_y=None if bars is None else {**bars, "color": colour},
        error_x=None if is_crowded else _bars_to_highs(trials, cost, colour),
        customdata=[[trial.trial, trial_lines(view, trial)] for trial in trials],
        mode="markers",
        marker={"color": colour, "size": 5 if is_crowded else 8, "line": {"width": 0}},
        hovertemplate=f"%{{customdata[1]}}<br>{cost.short}: %{{x:{cost.form}}}{NO_BOX}",
    )


def _bars_to_highs(
    trials: list[TrialHistory], cost: Cost, colour: str
) -> dict[str, Any] | None:
    """Plotly's error bars to the right; None where no trial has one."""
    ends = [(cost.values[trial.trial], cost.highs.get(trial.trial)) for trial in trials]
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


def _widen(figure: go.Figure) -> None:
    """Gives the axis a range of its own where points and bars lie closer than its least."""
    ends: list[float] = []
    for trace in figure.data:
        up, down = trace.error_y.array, trace.error_y.arrayminus
        ends += trace.y
        ends += [y + more for y, more in zip(trace.y, up or (), strict=False) if more]
        ends += [y - less for y, less in zip(trace.y, down or (), strict=False) if less]
    low, high = min(ends), max(ends)
    if high - low < LEAST_SPAN_PCT:
        middle, half = (low + high) / 2, 0.55 * LEAST_SPAN_PCT
        figure.update_yaxes(range=[middle - half, middle + half])


def _front(points: list[tuple[float, float]], tie: float) -> list[int]:
    """The Pareto front without points that one of lower VEER on it costs as much as, nearly."""
    kept: list[int] = []
    for place in reversed(pareto_front(points)):
        cost, veer_pct = points[place]
        better = points[kept[-1]] if kept else None
        if better is None or better[1] >= veer_pct or better[0] > cost * (1 + tie):
            kept.append(place)
    return kept[::-1]


def _add_front(figure: go.Figure, trials: list[TrialHistory], cost: Cost) -> None:
    points = [(cost.values[trial.trial], trial.best["veer_pct"]) for trial in trials if trial.best]
    front = _front(points, cost.tie)
    figure.add_trace(
        go.Scatter(
            x=[points[place][0] for place in front],
            y=[round(points[place][1], 4) for place in front],
            customdata=[[trials[place].trial] for place in front],
            mode="lines+markers",
            # A smaller VEER is had only at the next point's cost: steps, not slopes.
            line={"color": FRONT, "width": 1.5, "shape": "hv"},
            marker={"size": 13, "symbol": "circle-open", "color": FRONT},
            name="Pareto front: none of these is better in both",
            hoverinfo="skip",
        )
    )


def _add_teacher(figure: go.Figure, view: RunView, cost: Cost) -> None:
    veer_pct = view.teacher_veer_pct
    if cost.teacher is None or veer_pct is None:
        return
    said = literal(f"<b>teacher</b><br>VEER: {veer_pct:.2f} %")
    figure.add_trace(
        go.Scatter(
            x=[cost.teacher],
            y=[round(veer_pct, 4)],
            mode="markers",
            marker={"symbol": "star", "size": 16, "color": TEACHER},
            name="teacher",
            hovertemplate=f"{said}<br>{cost.short}: %{{x:{cost.form}}}{NO_BOX}",
        )
    )


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


def veer_by_parameters(view: RunView) -> go.Figure | None:
    """VEER against the number of parameters; None where it is unknown of every trial."""
    last = {trial.trial: trial.last for trial in view.ranked}
    sizes = {
        number: record["num_params"]
        for number, record in last.items()
        if record is not None and record.get("num_params")
    }
    cost = Cost(
        title="parameters of the network",
        short="parameters",
        form=",",
        values=sizes,
        teacher=None if view.teacher is None else view.teacher["num_params"],
    )
    return veer_by_cost(view, cost)
