"""Failed trials that are run again."""

from results.journal.history import trial_histories
from results.journal.journal import Journal, read_journal
from search.config.sections import FollowUpPlan
from search.loop.retry_failed import num_failed, restart_failed, without_lapsed
from tests.worlds.journals import made_record
from tests.worlds.simulated_search import MAX_EPOCHS, untimed_records, work


def failed_search(search_on, path):
    """A search of which trial 1 failed after an epoch, and the rest ended."""
    coordinator = search_on(path)
    coordinator.next_trial()
    coordinator.next_trial()
    coordinator.report(1, 1, 30.0, {"lr": 0.1})
    coordinator.report(0, 1, 90.0, {"lr": 0.1})
    for _ in range(3):
        coordinator.fault(1, "worker_lost", "its process died")
    assert coordinator.trials[1].state == "failed"


def test_failed_trial_is_handed_out_again_with_its_config_and_runs_to_an_end(search_on, tmp_path):
    failed_search(search_on, tmp_path / "j")
    before = read_journal(tmp_path / "j")
    assert num_failed(before) == 1
    with Journal(tmp_path / "j") as journal:
        assert restart_failed(before, journal) == read_journal(tmp_path / "j")
    coordinator = search_on(tmp_path / "j")
    course = coordinator.trials[1]
    assert (course.state, course.epoch, course.faults) == (None, 1, [])
    work(coordinator)
    again = trial_histories(read_journal(tmp_path / "j"))[1]
    assert again.state in ("complete", "stopped_early")
    assert again.started.config == trial_histories(before)[1].started.config
    assert num_failed(read_journal(tmp_path / "j")) == 0
    assert sorted(again.epochs) == list(range(1, len(again.epochs) + 1))
    assert len(again.epochs) <= MAX_EPOCHS


def test_a_failed_repeat_that_is_run_again_follows_the_same_trial(search_on, tmp_path):
    plan = FollowUpPlan(repeat=1, finalists=1)
    coordinator = search_on(tmp_path / "j", num_trials=1, follow_ups=plan)
    coordinator.next_trial()
    for epoch in range(1, MAX_EPOCHS + 1):
        coordinator.report(0, epoch, 20.0, {})
    coordinator.end(coordinator.next_trial().trial, "failed", "a bug")
    with Journal(tmp_path / "j") as journal:
        restart_failed(read_journal(tmp_path / "j"), journal)
    again = search_on(tmp_path / "j", num_trials=1, follow_ups=plan)
    course = again.next_trial()
    assert (course.trial, course.follow_up, course.follows) == (1, "repeat", 0)
    assert course.config == coordinator.trials[1].config
    assert not again.due


def test_search_that_ended_is_the_same_when_replayed_after_a_reopening(search_on, tmp_path):
    failed_search(search_on, tmp_path / "j")
    with Journal(tmp_path / "j") as journal:
        restart_failed(read_journal(tmp_path / "j"), journal)
    work(search_on(tmp_path / "j"))
    records = untimed_records(tmp_path / "j")
    again = search_on(tmp_path / "j")
    assert again.is_finished
    ends = {r["trial"]: r["state"] for r in records if r["event"] == "trial_ended"}
    assert {trial.trial: trial.state for trial in again.trials} == ends
    assert untimed_records(tmp_path / "j") == records


def test_faults_before_a_reopening_count_no_more_but_a_larger_share_stays():
    start = made_record("trial_started", trial=0)
    lost = made_record("infrastructure", trial=0, kind="worker_lost")
    memory = made_record(
        "infrastructure", trial=0, kind="out_of_memory", resource="cpu", share=2.0
    )
    end = made_record("trial_ended", trial=0)
    assert without_lapsed([start, memory, lost, end, start, lost]) == [start, memory, start, lost]
    assert without_lapsed([start, lost, end]) == [start, lost, end]
