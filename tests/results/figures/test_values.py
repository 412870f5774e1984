"""Parameters on axes: slices, parallel coordinates, shares of the loss."""

from collections.abc import Callable
from typing import Any

import pytest

from results.analysis.run_view import RunView
from results.figures.loss_shares import MAX_TRIALS, loss_shares, shares_of
from results.figures.parallel_coordinates import NOT_USED_AT, SPREAD, parallel_coordinates
from results.figures.slices import GAP_PX, LETTER_PX, MAX_LABEL_CHARS, ROW_PX, slices
from results.figures.values import Scale
from results.journal.history import trial_histories
from results.records.record import Record
from tests.results.figures.drawing import STARTED, named, trial_records
from tests.worlds.journals import changed, made_record

ViewOf = Callable[[list[Record]], RunView]


@pytest.fixture
def searched(view_of: ViewOf) -> RunView:
    """Trial 1 is the best and has no alpha; trial 2 was stopped."""
    records = [
        STARTED,
        *trial_records(0, [12.0], params={"kind": "mse", "alpha": 0.2, "dim": 8}),
        *trial_records(1, [10.0], params={"kind": "none", "dim": 16}),
        *trial_records(2, [20.0], "stopped_early", {"kind": "mse", "alpha": 0.6, "dim": 24}),
        *trial_records(3, [15.0], params={"kind": "mse", "alpha": 0.4, "dim": 8}),
    ]
    return view_of(records)


def test_slices_have_a_chart_a_parameter(searched: RunView) -> None:
    figure = slices(searched)
    assert figure is not None
    titles = [figure.layout[name].title.text for name in ("xaxis", "xaxis2", "xaxis3")]
    assert titles == ["kind", "alpha", "dim"]
    kinds = [trace for trace in figure.data if trace.xaxis == "x"]
    assert figure.layout.xaxis.ticktext == ("mse", "none")
    points = {
        (entry[0], x, y)
        for trace in kinds
        for entry, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }
    assert points == {(0, 0, 12.0), (1, 1, 10.0), (2, 0, 20.0), (3, 0, 15.0)}
    alphas = {
        entry[0]: x
        for trace in figure.data if trace.xaxis == "x2"
        for entry, x in zip(trace.customdata, trace.x, strict=True)
    }  # fmt: skip
    assert alphas == {0: 0.2, 2: 0.6, 3: 0.4}


def test_names_of_categories_have_the_room_that_they_need(view_of: ViewOf) -> None:
    """Fifteen names flat would take over 1,500 pixels; upright the longest takes 150."""
    presets = [f"v2_cosine_preset_{letter}" + "x" * 20 for letter in "abcdefghijklmno"]
    records: list[Record] = [STARTED]
    for trial, preset in enumerate(presets):
        params = {"dim": trial, "preset": preset, "lr": 0.1 * trial, "kind": "ab"[trial % 2]}
        records += trial_records(trial, [30.0 - trial], params=params)
    figure = slices(view_of(records))
    assert figure is not None
    axes = {axis.title.text: axis for axis in figure.select_xaxes()}
    assert list(axes) == ["dim", "lr", "kind", "preset"]
    wide = axes["preset"]
    assert wide.domain == pytest.approx((0, 1))
    assert wide.ticklabeloverflow == "allow"
    assert wide.autotickangles == (0, -90)
    assert [len(text) for text in wide.ticktext] == [MAX_LABEL_CHARS] * 15
    assert max(axes["dim"].domain) < 0.35
    top, bottom = figure.layout.yaxis.domain, figure.layout.yaxis4.domain
    plots_px = (ROW_PX - GAP_PX) / (top[1] - top[0])
    assert bottom[1] - bottom[0] == pytest.approx(top[1] - top[0])
    assert plots_px * (top[0] - bottom[1]) == pytest.approx(GAP_PX)
    # What stands below the last row holds its axis and the longest name.
    assert figure.layout.height - plots_px >= GAP_PX + LETTER_PX * MAX_LABEL_CHARS


def test_a_slice_is_logarithmic_where_the_space_is(view: RunView) -> None:
    figure = slices(view)
    assert figure is not None
    axes = {axis.title.text: axis.type for axis in figure.select_xaxes() if axis.title.text}
    assert axes["lr"] == "log"
    assert axes["alpha"] is None


def test_a_line_goes_through_its_values(searched: RunView) -> None:
    figure = parallel_coordinates(searched)
    assert figure is not None
    assert figure.layout.xaxis.ticktext == ("kind", "alpha", "dim", "VEER, %")
    best = named(figure, "best: trial 1")
    # The second of two kinds, no alpha, the middle of 8 to 24, the lowest VEER.
    assert best.y == (1 - SPREAD / 2, NOT_USED_AT, 0.5, 0.0, None)
    stopped = named(figure, "stopped early")
    assert stopped.y == (SPREAD / 2, 1.0, 1.0, 1.0, None)
    assert stopped.customdata[3][0] == 2
    labels = {(note.x, note.text) for note in figure.layout.annotations}
    assert {(1, "not used"), (0, "mse"), (2, "8"), (3, "10"), (3, "20")} <= labels
    assert (0, "not used") not in labels


def test_colours_follow_the_veer(searched: RunView) -> None:
    figure = parallel_coordinates(searched)
    assert figure is not None
    by_trial = {
        trace.customdata[0][0]: trace.line.color for trace in figure.data if trace.customdata
    }
    assert len({by_trial[0], by_trial[1], by_trial[2], by_trial[3]}) == 4


def test_the_axis_of_the_veer_has_the_colours_of_the_lines_that_end_there(
    searched: RunView,
) -> None:
    """Trials 0 and 3, of 12 and 15 %, on an axis from 10 to 20 %: 0.2 and 0.5 of its height."""
    figure = parallel_coordinates(searched)
    assert figure is not None
    shades = [shape for shape in figure.layout.shapes if shape.line.width > 5]
    assert {shape.x0 for shape in shades} == {3}
    ends = [shades[0].y0, *(shape.y1 for shape in shades)]
    assert ends == pytest.approx([0.2 + 0.3 * part / 8 for part in range(9)], abs=1e-4)
    lines = {trace.customdata[0][0]: trace.line.color for trace in figure.data}
    assert (shades[0].line.color, shades[-1].line.color) == (lines[0], lines[3])


def test_a_crowd_of_lines_lets_others_through(view: RunView, large: RunView) -> None:
    few, many = parallel_coordinates(view), parallel_coordinates(large)
    for figure, is_crowd in ((few, False), (many, True)):
        for trace in (each for each in figure.data if not (each.name or "").startswith("best")):
            assert (trace.opacity <= 0.5) == is_crowd
            assert (trace.line.width < 0.75) == is_crowd


@pytest.mark.parametrize(
    ("scale", "value", "height"),
    [
        (Scale(low=2, high=6), 3, 0.25),
        (Scale(low=1e-4, high=1e-2, is_log=True), 1e-3, 0.5),
        (Scale(low=5, high=5), 5, 0.5),
        (Scale(categories=(True, 1, "1")), 1, 0.5),
        (Scale(categories=("a",)), "a", 0.5),
    ],
)
def test_heights_by_hand(scale: Scale, value: Any, height: float) -> None:
    assert scale.height(value) == pytest.approx(height)


def shared(epoch: int, **shares: Any) -> Record:
    fields = {"classification_share": None, "distill_share": None, "reconstruction_share": None}
    return made_record("epoch", trial=0, epoch=epoch, veer_pct=9.0, **fields | shares)


def test_stages_stand_for_distillation() -> None:
    start = changed(trial_records(0, [], None)[0], time_s=0.0)
    records = [
        start,
        shared(1, classification_share=0.6, distill_share=0.4, stage_shares=[0.1, 0.3]),
        shared(2, classification_share=0.5, distill_share=0.5, stage_shares=[0.2, 0.3]),
    ]
    assert shares_of(trial_histories(records)[0]) == {
        "classification": {1: 0.6, 2: 0.5},
        "distillation, stage 1": {1: 0.1, 2: 0.2},
        "distillation, embedding": {1: 0.3, 2: 0.3},
    }


def test_what_a_trial_never_had_has_no_area() -> None:
    start = changed(trial_records(0, [], None)[0], time_s=0.0)
    records = [start, shared(1, classification_share=1.0, reconstruction_share=0.0)]
    assert shares_of(trial_histories(records)[0]) == {"classification": {1: 1.0}}


def test_shares_of_the_best_trials_add_up(view: RunView) -> None:
    figure = loss_shares(view)
    assert figure is not None
    best_first = [trial.trial for trial in view.ranked[:MAX_TRIALS]]
    assert list(dict.fromkeys(int(trace.stackgroup) for trace in figure.data)) == best_first
    for trial in best_first:
        areas = [trace.y for trace in figure.data if trace.stackgroup == str(trial)]
        sums = [sum(shares) for shares in zip(*areas, strict=True)]
        assert sums == pytest.approx([1.0] * len(sums), abs=1e-4)
