"""Learning curves as lines on a plane: where every point, tick and rung stands, in pixels."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from results.history import RUNNING, TrialHistory, ranked
from results.rungs import rungs_of

# Of the plane inside the axes; their labels stand around it.
LEFT, RIGHT, TOP, BOTTOM = 52, 948, 12, 364
MOST_TICKS = 8
STEPS = (1, 2, 5, 10, 20)
# How a curve is drawn by its trial's state; other states cannot be styled from outside.
STYLES = {
    "complete": "complete",
    "stopped_early": "stopped",
    "failed": "failed",
    "diverged": "failed",
    RUNNING: "unfinished",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place on an axis: pixels, and what stands beside it."""

    at: int
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One trial's curve.

    Attributes:
        trial: Its number.
        style: One of `STYLES`, or `best`.
        path: An SVG path in whole pixels.
        title: What is said of it.
    """

    trial: int
    style: str
    path: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """All curves of a run, those that matter most last, so on top.

    Attributes:
        left, right, top, bottom: Edges of the plane inside the axes.
        curves: A curve a trial with a VEER.
        epochs: Ticks of the horizontal axis.
        veers: Ticks of the vertical axis, percent.
        rungs: Where early stopping compares.
        teacher: The teacher's VEER, None where it is unknown.
    """

    left: ClassVar[int] = LEFT
    right: ClassVar[int] = RIGHT
    top: ClassVar[int] = TOP
    bottom: ClassVar[int] = BOTTOM
    curves: tuple[Curve, ...]
    epochs: tuple[Mark, ...]
    veers: tuple[Mark, ...]
    rungs: tuple[Mark, ...]
    teacher: Mark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    low: float
    high: float
    start: int
    end: int

    def __call__(self, value: float) -> int:
        part = (value - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start))

    def marks(self, values: Iterable[float]) -> tuple[Mark, ...]:
        return tuple(Mark(at=self(value), label=f"{value:g}") for value in values)


def learning_curves(
    trials: Sequence[TrialHistory], settings: Mapping[str, Any], teacher_pct: float | None
) -> Chart | None:
    """Draws VEER by epoch; None where no trial has a VEER.

    Args:
        trials: Of the run.
        settings: The search's, as its journal has them; what is missing is not drawn.
        teacher_pct: VEER of the teacher, percent.
    """
    measured = [(trial, points) for trial in trials if (points := curve_points(trial))]
    if not measured:
        return None
    every = [point for _, points in measured for point in points]
    veers = [veer for _, veer in every] + ([] if teacher_pct is None else [teacher_pct])
    last = max(max(epoch for epoch, _ in every), int(settings.get("max_epochs") or 0), 2)
    ticks = _ticks(min(veers), max(veers))
    across = _Axis(low=1, high=last, start=LEFT, end=RIGHT)
    up = _Axis(low=ticks[0], high=ticks[-1], start=BOTTOM, end=TOP)
    rungs = [rung for rung in rungs_of(settings) if rung <= last]
    return Chart(
        curves=_curves(measured, across, up),
        epochs=across.marks(
            epoch for epoch in _ticks(1, last) if 1 <= epoch <= last and epoch == round(epoch)
        ),
        veers=up.marks(ticks),
        rungs=across.marks(rungs),
        teacher=None
        if teacher_pct is None
        else Mark(at=up(teacher_pct), label=f"teacher {teacher_pct:.2f} %"),
    )


def curve_points(trial: TrialHistory) -> list[tuple[int, float]]:
    """Epoch and VEER in percent, where it was measured."""
    points = ((record["epoch"], record["veer_pct"]) for record in trial.in_order)
    return [(epoch, veer) for epoch, veer in points if veer is not None]


def _curves(
    measured: Sequence[tuple[TrialHistory, list[tuple[int, float]]]], across: _Axis, up: _Axis
) -> tuple[Curve, ...]:
    best = ranked([trial for trial, _ in measured])[:1]
    curves = (
        Curve(
            trial=trial.trial,
            style="best" if trial in best else STYLES.get(trial.state, "unfinished"),
            path=_path(points, across, up),
            title=f"trial {trial.trial}: lowest VEER {min(veer for _, veer in points):.2f} %",
        )
        for trial, points in measured
    )
    return tuple(sorted(curves, key=_layer))


def _layer(curve: Curve) -> int:
    """What is drawn first lies below."""
    return {"failed": 0, "stopped": 1, "best": 3}.get(curve.style, 2)


def _path(points: Iterable[tuple[int, float]], across: _Axis, up: _Axis) -> str:
    """Whole pixels, steps from point to point: a third of the text of absolute ones.

    A missing epoch is a gap; a lone point is a line of no length, which round ends make a dot.
    """
    path, before = [], None
    for epoch, veer in points:
        x, y = across(epoch), up(veer)
        if before is not None and epoch == before[0] + 1:
            path.append(f"l{x - before[1]} {y - before[2]}")
        else:
            path.append(f"M{x} {y}h0")
        before = (epoch, x, y)
    return "".join(path)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers in even steps, at most `MOST_TICKS`, that hold both values between them."""
    span = (high - low) or 1.0
    scale = 10 ** math.floor(math.log10(span / MOST_TICKS))
    steps = (scale * factor for factor in STEPS)
    step = next(each for each in steps if _num_steps(low, high, each) < MOST_TICKS)
    first = math.floor(low / step)
    num_steps = max(_num_steps(low, high, step), 1)
    return [round((first + number) * step, 10) for number in range(num_steps + 1)]


def _num_steps(low: float, high: float, step: float) -> int:
    return math.ceil(high / step) - math.floor(low / step)
