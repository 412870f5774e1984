"""Captions mention what the chart of a run contains, and nothing else."""

from collections.abc import Callable

import pytest

from results.analysis.run_view import RunView
from results.figures import FIGURES
from results.records.record import Record
from tests.results.figures.drawing import STARTED, trial_records
from tests.results.figures.test_veer_by_cost import row
from tests.worlds.journals import changed, made_record

ViewOf = Callable[[list[Record]], RunView]
ASHA = {"kind": "asha", "grace_epochs": 2, "reduction_factor": 3}
STOPPED = trial_records(2, [30.0, 29.0], "stopped_early")
ENDED = [*trial_records(0, [20.0, 10.0, 9.0]), *trial_records(1, [21.0, 11.0, 9.5])]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("learning_curves", ("grey", "rungs")),
        ("parallel_coordinates", ("grey",)),
        ("slices", ("open circles",)),
    ],
)
def test_stopped_trials_are_mentioned_where_there_are_some(
    view_of: ViewOf, name: str, words: tuple[str, ...]
) -> None:
    start = changed(STARTED, settings={"scheduler": ASHA, "max_epochs": 9})
    without = FIGURES[name].caption(view_of([STARTED, *ENDED]))
    with_some = FIGURES[name].caption(view_of([start, *ENDED, *STOPPED]))
    assert [word for word in words if word in without] == []
    assert [word for word in words if word in with_some] == list(words)


def test_a_rung_that_no_trial_has_reached_is_not_mentioned(view_of: ViewOf) -> None:
    late = {"scheduler": ASHA | {"grace_epochs": 5}, "max_epochs": 9}
    start = changed(STARTED, settings=late)
    caption = FIGURES["learning_curves"].caption(view_of([start, *STOPPED]))
    assert "grey" in caption
    assert "rungs" not in caption


@pytest.mark.parametrize("has_interval", [False, True])
def test_bars_are_mentioned_where_there_are_intervals(view_of: ViewOf, has_interval: bool) -> None:
    records = trial_records(0, [9.0])
    records[1] = changed(records[1], num_params=1000)
    if has_interval:
        records[1] = changed(records[1], veer_low_pct=8.0, veer_high_pct=10.0)
    caption = FIGURES["veer_by_parameters"].caption(view_of([STARTED, *records]))
    assert ("95 % intervals" in caption) == has_interval


def test_the_front_is_one_of_the_benchmarked(view_of: ViewOf) -> None:
    rows = [row("trial 0", 4.0), row("trial 1", 3.0), row("teacher", 9.0)]
    measured = made_record("benchmark", hardware={}, rows=rows)
    caption = FIGURES["veer_by_latency"].caption(view_of([STARTED, *ENDED, *STOPPED, measured]))
    assert "the 2 benchmarked students" in caption
    alone = FIGURES["veer_by_latency"].caption(
        view_of([STARTED, *ENDED, changed(measured, rows=measured.rows[:1])])
    )
    assert "the one benchmarked student" in alone
    assert "front" not in alone


def test_faults_and_pauses_are_mentioned_where_there_are_some(view_of: ViewOf) -> None:
    fault: Record = made_record(
        "infrastructure", trial=0, kind="worker_lost", epoch=3, message="",
    )  # fmt: skip
    quiet = [STARTED, *trial_records(0, [9.0], None)]
    resumed: Record = made_record("search_resumed", settings={})
    caption_of = FIGURES["timeline"].caption
    assert "crosses" not in caption_of(view_of(quiet))
    assert "pauses" not in caption_of(view_of(quiet))
    assert "crosses are faults" in caption_of(view_of([*quiet, fault]))
    assert "dashed lines are pauses" in caption_of(view_of([*quiet, resumed]))


@pytest.mark.parametrize("name", ["det_curves", "score_histograms"])
def test_the_teacher_is_mentioned_where_its_scores_were_kept(
    view: RunView, view_of: ViewOf, name: str
) -> None:
    assert " and the teacher" in FIGURES[name].caption(view)
    assert "teacher" not in FIGURES[name].caption(view_of([STARTED, *ENDED]))
