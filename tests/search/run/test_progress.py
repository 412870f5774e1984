import dataclasses
import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from search.config.sections import FollowUpPlan
from search.loop.follow_ups import FollowUp
from search.loop.trial_course import Budget
from search.run.progress import SearchStatus, SearchView, duration_text, search_status, status_line

STATUS = SearchStatus(
    num_trials=12, running=2, complete=1, stopped_early=3, failed=1, epochs=40, best_trial=4,
    best_veer_pct=7.3123, elapsed_s=190.0, left_s=75.2,
)  # fmt: skip


def course(number, veer_pct, state, *, is_running=False, decide_by="veer", decisions=None):
    return SimpleNamespace(
        trial=number,
        veer_pct=veer_pct,
        epoch=max(veer_pct, default=0),
        best_veer_pct=min(veer_pct.values(), default=None),
        best_decision_pct=min((decisions or veer_pct).values(), default=None),
        decide_by=decide_by,
        median_veer_pct=None,
        state=state,
        is_running=is_running,
        follow_up=None,
        follows=None,
    )


def coordinator_of(trials, **more):
    own = [trial for trial in trials if trial.follow_up is None]
    known = {"own_trials": own, "own_trials_ended": False, "due": ()}
    return SimpleNamespace(trials=trials, **known | more)


def test_status_sums_up_a_search():
    coordinator = coordinator_of(
        budget=Budget(num_trials=6, max_epochs=9),
        trials=[
            course(0, {1: 9.0, 2: 8.0, 3: 8.5, 4: 8.2}, "complete"),
            course(1, {1: 12.0, 2: 11.0}, "stopped_early"),
            course(2, {1: 1.0}, "diverged"),
            course(3, {}, "failed"),
            course(4, {1: 10.0}, None, is_running=True),
        ],
        ledger=SimpleNamespace(kinds={"hung": 2}),
        num_reported=8,
        elapsed_s=20.0,
        working_s=16.0,
    )
    status = search_status(coordinator)
    assert (status.complete, status.stopped_early, status.failed, status.ended) == (1, 1, 2, 4)
    assert (status.running, status.epochs, status.elapsed_s) == (1, 8, 20.0)
    assert (status.best_trial, status.best_veer_pct) == (0, 8.0)
    assert status.faults == {"hung": 2}
    # Ended trials lasted 7/3 epochs: one waits, the running one has 4/3 left, at 2 s an epoch.
    assert status.left_s == pytest.approx((7 / 3 + 4 / 3) * 2)


def test_best_trial_is_by_the_figure_that_decides_and_shown_with_its_veer():
    coordinator = coordinator_of(
        budget=Budget(num_trials=2, max_epochs=9),
        trials=[
            course(0, {1: 8.0}, "complete", decide_by="dprime", decisions={1: 9.0}),
            course(1, {1: 8.5}, "complete", decide_by="dprime", decisions={1: 7.0}),
        ],
        ledger=SimpleNamespace(kinds={}),
        num_reported=0,
        elapsed_s=20.0,
    )
    status = search_status(coordinator)
    assert (status.best_trial, status.best_veer_pct) == (1, 8.5)
    assert "best by EER from d' trial 1, VEER 8.50 %" in status_line(status)
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    view = SearchView(console)
    view.show(status)
    view.close()
    assert "best by EER from d'  trial 1, VEER 8.50 %" in console.file.getvalue()


def test_no_time_is_estimated_before_the_first_epoch():
    coordinator = coordinator_of(
        budget=Budget(num_trials=6, max_epochs=9), trials=[], num_reported=0, elapsed_s=1.0,
        ledger=SimpleNamespace(kinds={}),
    )
    status = search_status(coordinator)
    assert (status.left_s, status.best_trial, status.best_veer_pct) == (None, None, None)


def test_line_shows_counts_best_veer_and_times():
    assert status_line(STATUS) == (
        "5/12 trials ended, 2 running, 1 complete, 3 stopped early, 1 failed, best VEER 7.31 % "
        "(trial 4), 40 epochs, 3 min 10 s so far, about 1 min 15 s left"
    )


def test_line_counts_the_faults_where_there_were_any():
    status = dataclasses.replace(STATUS, faults={"hung": 1, "worker_lost": 2})
    text = "1 failed, 3 faults: 2 worker lost, 1 hung, best VEER"
    assert text in status_line(status)
    assert "1 fault: 1 hung," in status_line(dataclasses.replace(STATUS, faults={"hung": 1}))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0.4, "0 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min"), (90061, "25 h 1 min")],
)
def test_duration_reads_well(seconds, text):
    assert duration_text(seconds) == text


def test_without_a_terminal_a_line_is_printed_for_every_ended_trial():
    out = io.StringIO()
    view = SearchView(Console(file=out, width=300))
    for ended in (1, 1, 2, 2):
        view.show(dataclasses.replace(STATUS, complete=ended))
    view.close()
    assert [text[:4] for text in out.getvalue().splitlines()] == ["5/12", "6/12"]


def test_terminal_shows_the_last_status():
    out = io.StringIO()
    view = SearchView(Console(file=out, width=100, force_terminal=True))
    view.show(dataclasses.replace(STATUS, faults={"node_lost": 1}))
    view.print_line("hello")
    view.close()
    shown = out.getvalue()
    for text in ("trials 5/12", "7.31 % (trial 4)", "1 fault: 1 node lost", "hello"):
        assert text in shown


@pytest.mark.parametrize(
    ("is_terminal", "text"), [(True, "log-mels: 9 of 9 files"), (False, "log-mels: 9 files\n")]
)
def test_computing_of_log_mels_is_counted(is_terminal, text):
    out = io.StringIO()
    view = SearchView(Console(file=out, width=100, force_terminal=is_terminal))
    for done in range(1, 10):
        view.counter("log-mels", "files")(done, 9)
    view.close()
    assert text in out.getvalue()


def repeat(number, veer_pct, state):
    made = course(number, veer_pct, state)
    made.follow_up, made.follows = "repeat", 0
    made.median_veer_pct = made.best_veer_pct
    return made


def test_follow_ups_are_counted_apart_from_own_trials():
    due = [FollowUp(kind="repeat", follows=1, seed=5), FollowUp(kind="control", follows=2, seed=2)]
    coordinator = coordinator_of(
        budget=Budget(num_trials=3, max_epochs=9, follow_ups=FollowUpPlan(repeat=2, control=1)),
        trials=[
            course(0, {1: 9.0, 2: 8.0}, "complete"),
            course(1, {1: 7.0, 2: 7.5}, "complete"),
            course(2, {1: 12.0}, "stopped_early"),
            repeat(3, {1: 10.0}, "complete"),
            repeat(4, {1: 11.0, 2: 10.0, 3: 9.0}, None),
        ],
        own_trials_ended=True,
        due=due,
        ledger=SimpleNamespace(kinds={}),
        num_reported=10,
        elapsed_s=10.0,
        working_s=10.0,
    )
    status = search_status(coordinator)
    assert (status.ended, status.num_trials, status.complete) == (3, 3, 2)
    doing = "repeating the best 2 (2 of 3 left), running stopped trials to the end (1 of 1 left)"
    assert status.follow_ups == doing
    assert status_line(status).startswith(f"3/3 trials ended, {doing}, ")
    # The lowest VEER, though trial 0 is ranked first, by its complete repeat.
    assert (status.best_trial, status.best_veer_pct) == (1, 7.0)
    # Two to come with 9 epochs each, and 6 of the running one, at a second an epoch.
    assert status.left_s == pytest.approx(24)


def test_follow_ups_to_come_count_before_they_are_known():
    coordinator = coordinator_of(
        budget=Budget(num_trials=2, max_epochs=9, follow_ups=FollowUpPlan(repeat=2, finalists=1)),
        trials=[course(0, {1: 9.0}, "complete"), course(1, {}, None)],
        num_reported=1, elapsed_s=1.0, working_s=1.0, ledger=SimpleNamespace(kinds={}),
    )  # fmt: skip
    status = search_status(coordinator)
    assert status.follow_ups == ""
    assert status.left_s == pytest.approx(1 + 2 * 9)
