"""Learning curves have the points, marks and traces of their trials."""

from collections.abc import Callable
from typing import Any

import pytest

from results.analysis.run_view import RunView
from results.figures.learning_curves import (
    MAX_BOLD_CURVES,
    MAX_CURVE_POINTS,
    MAX_OWN_TRACES,
    learning_curves,
    points_of,
)
from results.journal.history import trial_histories
from results.records.record import Record
from tests.results.figures.drawing import STARTED, named, trial_records
from tests.worlds.journals import changed, made_record

ViewOf = Callable[[list[Record]], RunView]
ASHA = {"kind": "asha", "grace_epochs": 3, "reduction_factor": 3}


def test_a_curve_goes_through_its_veers(view_of: ViewOf) -> None:
    figure = learning_curves(view_of([STARTED, *trial_records(0, [20.0, 15.0, 10.0])]))
    best = named(figure, "best: trial 0")
    assert (best.x, best.y) == ((1, 2, 3), (20.0, 15.0, 10.0))
    assert [entry[0] for entry in best.customdata] == [0, 0, 0]


def test_stopped_trials_share_a_trace_with_gaps(view_of: ViewOf) -> None:
    records = [STARTED, *trial_records(0, [5.0])]
    for trial in (1, 2):
        records += trial_records(trial, [9.0 + trial, 8.0 + trial], "stopped_early")
    figure = learning_curves(view_of(records))
    trace = named(figure, "stopped early")
    assert trace.x == (1, 2, None, 1, 2, None)
    assert trace.y == (10.0, 9.0, None, 11.0, 10.0, None)
    assert [entry[0] for entry in trace.customdata] == [1, 1, 1, 2, 2, 2]
    assert "stopped early" in trace.customdata[1][1]


def crowd(num_trials: int) -> list[Record]:
    """Trial 0 the best; of the others two thirds stopped early."""
    records = [STARTED, *trial_records(0, [5.0])]
    for trial in range(1, num_trials):
        state = "complete" if trial % 3 == 0 else "stopped_early"
        records += trial_records(trial, [9.0 + trial, 8.0 + trial], state)
    return records


def test_a_crowd_of_curves_is_transparent_and_its_legend_is_not(view_of: ViewOf) -> None:
    figure = learning_curves(view_of(crowd(900)))
    assert figure is not None
    for name, drawn in (("stopped early", 600), ("complete", 293)):
        traces = [trace for trace in figure.data if trace.name == name]
        many = next(trace for trace in traces if len(trace.x) > 100)
        assert len(many.x) == 3 * drawn
        assert many.opacity == pytest.approx(max(0.1, 60 / drawn))
        (shown,) = (trace for trace in traces if trace.showlegend)
        assert shown.opacity >= 0.6
        assert shown.line.width >= 1
        assert shown.x == (None,)


@pytest.mark.parametrize(
    ("num_trials", "has_details"), [(MAX_BOLD_CURVES, True), (MAX_BOLD_CURVES + 1, False)]
)
def test_few_curves_show_their_config_everywhere_and_many_at_their_ends(
    view_of: ViewOf, num_trials: int, has_details: bool
) -> None:
    stopped = named(learning_curves(view_of(crowd(num_trials))), "stopped early")
    first, last = stopped.customdata[:2]
    assert "lr: 1.1" in last[1]
    assert ("lr: 1.1" in first[1]) == has_details
    assert ("click" in first[1]) != has_details


def test_an_epoch_without_a_veer_is_a_gap(view_of: ViewOf) -> None:
    figure = learning_curves(view_of([STARTED, *trial_records(0, [9.0, None, 8.0])]))
    assert named(figure, "best").y == (9.0, None, 8.0)


def test_the_best_is_on_top_and_only_the_best_trials_have_traces_of_their_own(
    view_of: ViewOf,
) -> None:
    records: list[Record] = [STARTED]
    for trial in range(MAX_OWN_TRACES + 10):
        records += trial_records(trial, [20.0, 10.0 + trial])
    figure = learning_curves(view_of(records))
    assert figure is not None
    assert figure.data[-1].name == "best: trial 0"
    assert len(figure.data) == MAX_OWN_TRACES + 1
    shared = figure.data[0]
    assert {entry[0] for entry in shared.customdata} == set(
        range(MAX_OWN_TRACES, MAX_OWN_TRACES + 10)
    )
    assert [trace.showlegend for trace in figure.data].count(True) == 2


def test_follow_ups_stand_apart_and_are_never_the_best(view_of: ViewOf) -> None:
    records = [
        STARTED, *trial_records(0, [9.0]),
        *trial_records(1, [1.0], follow_up="repeat", follows=0),
        *trial_records(2, [2.0], follow_up="control", follows=0),
    ]  # fmt: skip
    figure = learning_curves(view_of(records))
    assert named(figure, "best").name == "best: trial 0"
    assert named(figure, "repeats of finalists").customdata[0][0] == 1
    assert named(figure, "stopped trials, run to the end").customdata[0][0] == 2


@pytest.mark.parametrize(("last", "rungs"), [(2, []), (4, [3]), (27, [3, 9, 27])])
def test_rungs_and_the_teacher_are_marked(view_of: ViewOf, last: int, rungs: list[float]) -> None:
    settings = {"scheduler": ASHA, "max_epochs": 28}
    teacher = made_record("teacher", path="t", veer_pct=7.5, num_params=9, sha256="")
    curve = [30.0 - epoch for epoch in range(last)]
    figure = learning_curves(
        view_of([changed(STARTED, settings=settings), teacher, *trial_records(0, curve)])
    )
    assert figure is not None
    lines = [shape for shape in figure.layout.shapes if shape.x0 == shape.x1]
    assert [line.x0 for line in lines] == rungs
    across = next(shape for shape in figure.layout.shapes if shape.y0 == shape.y1)
    assert across.y0 == 7.5
    texts = [note.text for note in figure.layout.annotations]
    assert texts == [*(f"rung {rung:g}" for rung in rungs), "teacher 7.50 %"]


def test_the_last_phase_of_the_best_trial_is_marked(view_of: ViewOf) -> None:
    records = trial_records(0, [9.0, 8.0, 7.0, 6.0])
    phase = [
        changed(each, is_last_phase=True) if getattr(each, "epoch", 0) >= 3 else each
        for each in records
    ]
    figure = learning_curves(view_of([STARTED, *phase, *trial_records(1, [12.0] * 4)]))
    assert figure is not None
    # Between the last epoch of the main phase and the first of the last one.
    marks = [shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1]
    texts = [note.text for note in figure.layout.annotations]
    assert dict(zip(marks, texts, strict=False))[2.5] == "last phase"


def test_a_long_curve_is_thinned_and_keeps_first_last_and_best() -> None:
    veers = [50.0 - 0.01 * epoch for epoch in range(500)]
    veers[333] = 3.0
    records: list[Any] = trial_records(0, veers)
    points = points_of(trial_histories(records)[0])
    assert len(points) <= MAX_CURVE_POINTS
    assert (points[0], points[-1]) == ((1, 50.0), (500, round(veers[-1], 3)))
    assert (334, 3.0) in points


def test_a_lone_epoch_is_a_dot(view_of: ViewOf) -> None:
    records = [STARTED, *trial_records(0, [5.0, 4.0]), *trial_records(1, [9.0])]
    figure = learning_curves(view_of(records))
    assert figure is not None
    assert figure.data[0].mode == "markers"
