"""Spans and timelines of searches made by hand."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from results.analysis.run_view import RunView
from results.figures.spans import schedule_of
from results.figures.timeline import EDGE, MAX_EDGED_BARS, PAUSE_SIGN, timeline
from results.records.record import Record
from tests.results.figures.drawing import STARTED, named
from tests.worlds.journals import changed, made_record

ViewOf = Callable[[list[Record]], RunView]


def at(time_s: float, event: str, trial: int | None = None, **fields: Any) -> Record:
    own = {} if trial is None else {"trial": trial}
    return made_record(event, time_s=1000.0 + time_s, **own, **fields)


def started(time_s: float, trial: int) -> Record:
    return at(
        time_s, "trial_started", trial, params={"lr": trial}, config={}, config_hash="", seed=0
    )


def placed(time_s: float, trial: int, pid: int, epoch: int = 0, host: str = "node") -> Record:
    return at(
        time_s, "placed", trial, epoch=epoch, host=host, pid=pid, device="cpu", num_threads=1,
        hardware={},
    )  # fmt: skip


def epoch(time_s: float, trial: int, number: int, took_s: float = 10.0) -> Record:
    return at(
        time_s, "epoch", trial, epoch=number, veer_pct=20.0 - number, train_s=0.8 * took_s,
        eval_s=0.2 * took_s,
    )  # fmt: skip


def ended(time_s: float, trial: int, state: str = "complete") -> Record:
    return at(time_s, "trial_ended", trial, state=state, reason=None)


START = changed(STARTED, time_s=1000.0)


def test_a_span_begins_with_the_first_epoch_by_its_own_times(view_of: ViewOf) -> None:
    schedule = schedule_of(
        view_of([START, started(2, 0), placed(20, 0, 1), epoch(20, 0, 1), epoch(31, 0, 2),
                 ended(31.5, 0)])
    )  # fmt: skip
    (span,) = schedule.spans
    assert (span.begin_s, span.end_s) == pytest.approx((10.0, 31.5))
    assert span.details == "epochs 1 to 2 in 22 seconds, cpu, process 1"
    assert schedule.rows == ("node 1",)


def test_a_process_keeps_its_row_and_a_later_one_takes_over_a_free_row(view_of: ViewOf) -> None:
    schedule = schedule_of(
        view_of([
            START, started(0, 0), started(0, 1), placed(10, 0, 7), epoch(10, 0, 1),
            placed(11, 1, 8), epoch(11, 1, 1), ended(12, 0), started(12, 2),
            placed(30, 2, 7), epoch(30, 2, 1), ended(31, 2), started(32, 3), ended(33, 1),
            placed(60, 3, 9), epoch(60, 3, 1), ended(61, 3),
        ])
    )  # fmt: skip
    rows = {span.trial: span.row for span in schedule.spans}
    assert rows == {0: "node 1", 1: "node 2", 2: "node 1", 3: "node 1"}


def test_a_fault_ends_a_span_and_the_next_placement_begins_another(view_of: ViewOf) -> None:
    schedule = schedule_of(
        view_of([
            START, started(0, 0), placed(10, 0, 1), epoch(10, 0, 1),
            at(15, "infrastructure", 0, kind="worker_lost", epoch=1, message="gone"),
            placed(40, 0, 2, epoch=1), epoch(40, 0, 2), ended(41, 0),
        ])
    )  # fmt: skip
    assert [(s.begin_s, s.end_s) for s in schedule.spans] == [(0, 15), (30, 41)]
    (fault,) = schedule.faults
    assert (fault.trial, fault.at_s, fault.row) == (0, 15, "node 1")
    assert fault.details == "worker_lost: its process died"


def test_pauses_are_cut_out_and_marked(view_of: ViewOf) -> None:
    records = [
        START, started(0, 0), placed(10, 0, 1), epoch(10, 0, 1),
        at(20, "search_ended", reason="interrupted"),
        at(7220, "search_resumed", settings={}),
        placed(7240, 0, 2, epoch=1), epoch(7240, 0, 2), ended(7241, 0),
    ]  # fmt: skip
    schedule = schedule_of(view_of(records))
    assert schedule.pauses == ((20.0, 7200.0),)
    assert [(s.begin_s, s.end_s) for s in schedule.spans] == [(0, 10), (30, 41)]
    figure = timeline(view_of(records))
    assert figure is not None
    assert [note.text for note in figure.layout.annotations] == ["paused 2 hours"]
    assert figure.layout.xaxis.title.text == "seconds of the search, without pauses"


def test_a_kill_without_an_end_pauses_from_the_last_record(view_of: ViewOf) -> None:
    schedule = schedule_of(
        view_of([
            START, started(0, 0), placed(10, 0, 1), epoch(10, 0, 1),
            at(100, "search_resumed", settings={}), placed(115, 0, 2, epoch=1),
            epoch(115, 0, 2, took_s=5.0), ended(116, 0),
        ])
    )  # fmt: skip
    assert schedule.pauses == ((10.0, 90.0),)
    assert [(s.begin_s, s.end_s) for s in schedule.spans] == [(0, 10), (20, 26)]


def test_a_journal_without_placements_has_rows_too(view_of: ViewOf) -> None:
    schedule = schedule_of(
        view_of([
            START, started(0, 0), started(0, 1), epoch(10, 0, 1), epoch(11, 1, 1),
            ended(12, 0), started(12, 2), epoch(30, 2, 1),
        ])
    )  # fmt: skip
    rows = {span.trial: span.row for span in schedule.spans}
    one, two = (f"worker {number} (host not recorded)" for number in (1, 2))
    assert rows == {0: one, 1: two, 2: one}


def test_rows_of_unknown_hosts_are_in_the_order_of_their_numbers(view_of: ViewOf) -> None:
    records = [START, *(started(0, trial) for trial in range(11))]
    records += [epoch(10 + trial, trial, 1) for trial in range(11)]
    rows = schedule_of(view_of(records + [epoch(30, trial, 2) for trial in range(11)])).rows
    assert [int(row.split()[1]) for row in rows] == list(range(1, 12))


def test_pauses_close_together_have_hover_text(view_of: ViewOf) -> None:
    """Of a search of 300 s, pauses after 20, 60 and 220 s."""
    records = [START, started(0, 0), placed(10, 0, 1), epoch(10, 0, 1)]
    records += [at(20, "search_ended", reason="interrupted")]
    records += [at(120, "search_resumed", settings={}), placed(160, 0, 2, 1), epoch(160, 0, 2)]
    records += [at(260, "search_resumed", settings={}), placed(420, 0, 3, 2), epoch(420, 0, 3)]
    records += [at(1420, "search_resumed", settings={}), placed(1500, 0, 4, 3), epoch(1500, 0, 4)]
    figure = timeline(view_of(records))
    assert figure is not None
    notes = figure.layout.annotations
    assert [note.text for note in notes] == [PAUSE_SIGN, PAUSE_SIGN, "paused 16.7 minutes"]
    assert len({notes[1].yshift, notes[2].yshift}) == 2
    assert [note.hovertext for note in notes[:2]] == ["paused 100 seconds"] * 2


@pytest.mark.parametrize(
    ("num_spans", "width"), [(MAX_EDGED_BARS, EDGE["width"]), (MAX_EDGED_BARS + 1, 0)]
)
def test_many_bars_have_no_edges(view_of: ViewOf, num_spans: int, width: float) -> None:
    records = [START]
    for trial in range(num_spans):
        records += [started(10 * trial, trial), epoch(10 * trial + 5, trial, 1, took_s=5.0)]
        records.append(ended(10 * trial + 6, trial))
    figure = timeline(view_of(records))
    assert figure is not None
    assert {bars.marker.line.width for bars in figure.data} == {width}


def test_a_trial_that_still_runs_ends_with_its_last_epoch(view_of: ViewOf) -> None:
    figure = timeline(view_of([START, started(0, 0), placed(90, 0, 1), epoch(90, 0, 1, 60.0),
                               epoch(150, 0, 2, 60.0)]))  # fmt: skip
    bar = named(figure, "best: trial 0")
    assert (bar.base, bar.x, bar.y) == ((0.5,), (2.0,), ("node 1",))
    assert bar.customdata[0][0] == 0


def test_every_epoch_of_a_run_lies_in_one_span_of_its_trial(view: RunView) -> None:
    spans = schedule_of(view).spans
    for trial in view.histories:
        own = [span for span in spans if span.trial == trial.trial]
        for before, after in pairwise(own):
            assert before.end_s <= after.begin_s
    ran_s = sum(span.end_s - span.begin_s for span in spans)
    num_epochs = sum(len(trial.epochs) for trial in view.histories)
    assert ran_s == pytest.approx(10.0 * num_epochs, rel=0.05)
