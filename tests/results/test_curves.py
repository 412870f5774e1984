"""Learning curves stand where the figures say."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from results.curves import BOTTOM, LEFT, MOST_TICKS, RIGHT, TOP, Chart, learning_curves
from results.history import trial_histories
from results.journal import Record
from results.run_folder import RunFolder

ASHA = {"kind": "asha", "grace_epochs": 3, "reduction_factor": 3}


def records_of(*trials: tuple[Sequence[float | None], str | None]) -> list[Record]:
    """Trials by VEER at each epoch, and the state that they ended in."""
    records: list[Record] = []
    for number, (veers, state) in enumerate(trials):
        own = {"time_s": 0.0, "trial": number}
        records.append({"event": "trial_started", **own, "params": {}, "config": {}})
        for epoch, veer_pct in enumerate(veers, start=1):
            records.append({"event": "epoch", **own, "epoch": epoch, "veer_pct": veer_pct})
        if state is not None:
            records.append({"event": "trial_ended", **own, "state": state, "reason": None})
    return records


def chart_of(
    *trials: tuple[Sequence[float | None], str | None],
    settings: dict[str, Any] | None = None,
    teacher_pct: float | None = None,
) -> Chart:
    chart = learning_curves(trial_histories(records_of(*trials)), settings or {}, teacher_pct)
    assert chart is not None
    return chart


def points_of(path: str) -> list[tuple[int, int]]:
    """The points that a path visits, from its relative steps."""
    x, y, points = 0, 0, []
    for command, first, second in re.findall(r"([Ml])(-?\d+) (-?\d+)", path):
        start = (0, 0) if command == "M" else (x, y)
        x, y = start[0] + int(first), start[1] + int(second)
        points.append((x, y))
    return points


def test_a_curve_goes_through_its_figures() -> None:
    chart = chart_of(([20.0, 15.0, 10.0], "complete"))
    assert [mark.label for mark in chart.veers][::len(chart.veers) - 1] == ["10", "20"]
    middle = (LEFT + RIGHT) // 2, (TOP + BOTTOM) // 2
    assert points_of(chart.curves[0].path) == [(LEFT, TOP), middle, (RIGHT, BOTTOM)]


def test_rounding_does_not_add_up_along_a_curve() -> None:
    veers = [50 - 0.37 * number for number in range(100)]
    ends = points_of(chart_of((veers, "complete"), (veers[:1], None)).curves[-1].path)
    assert ends[-1][0] == RIGHT
    assert len(ends) == 100


def test_an_epoch_without_a_veer_is_a_gap() -> None:
    path = chart_of(([9.0, None, 8.0, 7.0], "complete")).curves[0].path
    assert path.count("M") == 2
    assert len(points_of(path)) == 3


def test_a_trial_of_one_epoch_is_a_dot() -> None:
    assert chart_of(([9.0], None)).curves[0].path.endswith("h0")


def test_the_best_is_on_top_and_those_that_ended_badly_below() -> None:
    chart = chart_of(
        ([5.0, 4.0], "complete"),
        ([6.0], "stopped_early"),
        ([3.0], "diverged"),
        ([7.0, 6.0], "complete"),
        ([8.0], None),
        ([1.0], "failed"),
    )
    drawn = [(curve.trial, curve.style) for curve in chart.curves]
    assert drawn == [
        (2, "failed"),
        (5, "failed"),
        (1, "stopped"),
        (3, "complete"),
        (4, "unfinished"),
        (0, "best"),
    ]


def test_a_state_that_is_unknown_has_a_style_of_ours() -> None:
    assert chart_of(([5.0], None), ([6.0], '"><b>')).curves[0].style == "unfinished"


def test_rungs_and_teacher_are_marked() -> None:
    settings = {"scheduler": ASHA, "max_epochs": 28}
    chart = chart_of(([9.0, 8.0], None), settings=settings, teacher_pct=7.0)
    assert [(mark.label, mark.at) for mark in chart.rungs] == [
        (f"{rung}", round(LEFT + (rung - 1) / 27 * (RIGHT - LEFT))) for rung in (3, 9, 27)
    ]
    assert chart.teacher is not None
    assert (chart.teacher.label, chart.teacher.at) == ("teacher 7.00 %", BOTTOM)


@pytest.mark.parametrize(
    ("low", "high"), [(5.0, 5.0), (5.0, 50.0), (5.123, 5.124), (0.0, 100.0), (11.5, 12.5)]
)
def test_ticks_are_few_even_and_hold_all_figures(low: float, high: float) -> None:
    chart = chart_of(([high, low], "complete"))
    labels = [float(mark.label) for mark in chart.veers]
    assert labels[0] <= low <= high <= labels[-1]
    assert 2 <= len(labels) <= MOST_TICKS
    steps = [after - before for before, after in pairwise(labels)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)
    assert [mark.at for mark in chart.veers][:: len(labels) - 1] == [BOTTOM, TOP]


def test_without_a_veer_there_is_no_chart(journal_run: RunFolder) -> None:
    assert learning_curves([], {}, 7.0) is None
    assert learning_curves(trial_histories(records_of(([None], None))), {}, None) is None
    assert learning_curves(trial_histories(journal_run.read()), {}, None) is not None
