import json
import math

import numpy as np
import pytest

from results.analysis.rungs import asha_rungs
from results.journal.journal import Journal, read_journal
from results.records.search_records import SearchStarted
from results.records.trial_records import TrialStarted
from search.loop.early_stopping import SuccessiveHalving
from search.loop.stop_check import stop_faults
from spaces.files.errors import RunError
from tests.worlds.simulated_search import MAX_EPOCHS, Clock, Killed, untimed_records, work
from trainable.config.eval_plan import EvalPlan


def test_undisturbed_search_ends_every_trial_once(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j")
    work(coordinator)
    records = untimed_records(tmp_path / "j")
    ended = [r["trial"] for r in records if r["event"] == "trial_ended"]
    assert sorted(ended) == list(range(8))
    states = {trial.state for trial in coordinator.trials}
    assert states == {"complete", "stopped_early"}
    assert coordinator.is_finished
    for trial in coordinator.trials:
        assert (trial.epoch == MAX_EPOCHS) == (trial.state == "complete")


# Rungs at 1, 3 and 9, and the last two epochs.
SOME_EPOCHS = EvalPlan(every_epochs=4, anyway=(1, 3), all_from=8)


def test_epochs_without_evaluation_decide_nothing_and_end_no_trial(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j")
    work(coordinator, plan=SOME_EPOCHS)
    assert {trial.state for trial in coordinator.trials} == {"complete", "stopped_early"}
    for trial in coordinator.trials:
        due = [epoch for epoch in trial.veer_pct if SOME_EPOCHS.is_due(epoch)]
        assert list(trial.measured) == list(trial.decisions) == due
    stopped = [trial for trial in coordinator.trials if trial.state == "stopped_early"]
    assert all(trial.epoch in (1, 3) for trial in stopped)
    scheduler = {"kind": "asha", "grace_epochs": 1, "reduction_factor": 3}
    settings = {"scheduler": scheduler, "max_epochs": MAX_EPOCHS}
    started = SearchStarted(settings=settings, provenance={})
    assert stop_faults([started, *read_journal(tmp_path / "j")]) == ()


def test_epochs_without_evaluation_are_replayed_as_they_were(search_on, tmp_path):
    work(search_on(tmp_path / "whole"), plan=SOME_EPOCHS)
    whole = untimed_records(tmp_path / "whole")
    skipped = [r for r in whole if r["event"] == "epoch" and r["veer_pct"] is None]
    assert {r["epoch"] for r in skipped} == {2, 5, 6, 7}
    assert all(r["is_unevaluated"] is True for r in skipped)
    assert not any("is_unevaluated" in r for r in whole if r not in skipped)
    for epochs in range(0, sum(r["event"] == "epoch" for r in whole), 5):
        path = tmp_path / f"killed-{epochs}"
        with pytest.raises(Killed):
            work(search_on(path), epochs=epochs, plan=SOME_EPOCHS)
        work(search_on(path), plan=SOME_EPOCHS)
        assert untimed_records(path) == whole, epochs


def test_a_veer_that_could_not_be_measured_still_means_diverged(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j", num_trials=1)
    assert coordinator.next_trial().trial == 0
    assert coordinator.report(0, 1, None, {"is_unevaluated": True})
    assert not coordinator.report(0, 2, math.nan, {})
    assert coordinator.trials[0].state == "diverged"
    again = search_on(tmp_path / "j", num_trials=1)
    assert again.trials[0].state == "diverged"
    assert again.trials[0].veer_pct[1] is None


# 13 trials: tpe and guided draw at random before they have seen ten.
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tpe", "guided"])
def test_search_killed_at_any_epoch_goes_on_to_the_same_end(search_on, tmp_path, kind):
    work(search_on(tmp_path / "whole", num_trials=13, kind=kind))
    whole = untimed_records(tmp_path / "whole")
    num_epochs = sum(r["event"] == "epoch" for r in whole)
    for epochs in range(0, num_epochs, 3):
        path = tmp_path / f"killed-{epochs}"
        with pytest.raises(Killed):
            work(search_on(path, num_trials=13, kind=kind), epochs=epochs)
        work(search_on(path, num_trials=13, kind=kind))
        assert untimed_records(path) == whole, epochs


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tpe", "guided"])
def test_search_torn_after_any_record_goes_on_to_the_same_end(search_on, tmp_path, kind):
    work(search_on(tmp_path / "whole", num_trials=13, kind=kind))
    whole = untimed_records(tmp_path / "whole")
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    for kept in range(0, len(lines), 4):
        path = tmp_path / f"torn-{kept}"
        path.write_text("".join(lines[:kept]) + lines[kept][:20])
        work(search_on(path, num_trials=13, kind=kind))
        assert untimed_records(path) == whole, kept


@pytest.mark.parametrize("seed", range(5))
def test_several_trials_at_once_killed_often_lose_and_repeat_nothing(search_on, tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "j"
    for _ in range(6):
        try:
            work(search_on(path, num_trials=12), at_once=3, rng=rng, epochs=int(rng.integers(20)))
        except Killed:
            continue
    work(search_on(path, num_trials=12), at_once=3, rng=rng)
    records = untimed_records(path)
    epochs = [(r["trial"], r["epoch"]) for r in records if r["event"] == "epoch"]
    assert len(epochs) == len(set(epochs))
    assert sorted(r["trial"] for r in records if r["event"] == "trial_ended") == list(range(12))
    for number in range(12):
        assert [e for t, e in epochs if t == number] == list(
            range(1, 1 + sum(t == number for t, _ in epochs))
        )
    # Every stop follows from the rungs as the journal has them.
    halving = SuccessiveHalving(asha_rungs(1, 3, MAX_EPOCHS), 3)
    stops = {
        r["trial"]
        for r in records
        if r["event"] == "epoch"
        and halving.decide(r["trial"], r["epoch"], r["veer_pct"]).stop
        and r["epoch"] < MAX_EPOCHS
    }
    assert stops == {r["trial"] for r in records if r.get("state") == "stopped_early"}


def test_every_record_is_written_before_it_takes_effect(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j")
    coordinator.next_trial()
    assert untimed_records(tmp_path / "j")[-1]["event"] == "trial_started"
    coordinator.report(0, 1, 30.0, {"lr": 0.1})
    assert untimed_records(tmp_path / "j")[-1] == {
        "event": "epoch", "trial": 0, "epoch": 1, "veer_pct": 30.0, "lr": 0.1
    }  # fmt: skip


def test_repeated_epoch_changes_nothing(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j")
    coordinator.next_trial()
    assert coordinator.report(0, 1, 30.0, {})
    before = untimed_records(tmp_path / "j")
    assert coordinator.report(0, 1, 12.0, {})
    assert untimed_records(tmp_path / "j") == before
    assert (coordinator.trials[0].veer_pct, coordinator.num_reported) == ({1: 30.0}, 1)


def test_stopped_trial_records_the_reason(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j")
    for number in (0, 1):
        coordinator.next_trial()
        coordinator.report(number, 1, 30.0 + number, {})
    assert untimed_records(tmp_path / "j")[-1] == {
        "event": "trial_ended",
        "trial": 1,
        "state": "stopped_early",
        "reason": "VEER above 30.00 %, the limit at rung 1",
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_trial_without_a_finite_veer_has_diverged(search_on, tmp_path, value):
    coordinator = search_on(tmp_path / "j", num_trials=2)
    coordinator.next_trial()
    coordinator.report(0, 1, 30.0, {})
    assert not coordinator.report(0, 2, value, {})
    ended = untimed_records(tmp_path / "j")[-1]
    assert (ended["state"], ended["reason"]) == ("diverged", "the VEER of epoch 2 is not a number")
    assert coordinator.trials[0].best_veer_pct == 30.0
    json.dumps(untimed_records(tmp_path / "j"), allow_nan=False)
    work(search_on(tmp_path / "j", num_trials=2))
    assert sum(r["event"] == "trial_ended" for r in untimed_records(tmp_path / "j")) == 2


def test_failed_trial_is_not_tried_again_and_teaches_nothing(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j", num_trials=2)
    coordinator.next_trial()
    coordinator.end(0, "failed", "out of memory")
    coordinator.end(0, "failed", "again")
    work(coordinator)
    ended = [r for r in untimed_records(tmp_path / "j") if r["event"] == "trial_ended"]
    assert [(r["trial"], r["state"], r["reason"]) for r in ended] == [
        (0, "failed", "out of memory"),
        (1, "complete", None),
    ]


def test_halted_search_ends_after_the_running_epochs(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j")
    coordinator.next_trial()
    coordinator.next_trial()
    coordinator.halt("interrupted")
    coordinator.halt("time_limit")
    assert not coordinator.report(0, 1, 30.0, {})
    assert coordinator.next_trial() is None
    assert coordinator.halted == "interrupted"
    assert not any(r["event"] == "trial_ended" for r in untimed_records(tmp_path / "j"))
    again = search_on(tmp_path / "j")
    assert [again.next_trial().trial for _ in range(3)] == [0, 1, 2]


def test_time_limit_counts_on_the_given_clock(search_on, tmp_path):
    clock = Clock()
    coordinator = search_on(tmp_path / "j", clock=clock, time_limit_s=60.0)
    coordinator.next_trial()
    clock.now_s += 59.9
    assert coordinator.report(0, 1, 30.0, {})
    clock.now_s += 0.1
    assert not coordinator.report(0, 2, 25.0, {})
    assert (coordinator.halted, coordinator.trials[0].epoch) == ("time_limit", 2)


def test_more_trials_can_be_asked_of_a_finished_search(search_on, tmp_path):
    work(search_on(tmp_path / "j", num_trials=4))
    work(search_on(tmp_path / "j", num_trials=8))
    work(search_on(tmp_path / "whole", num_trials=8))
    assert untimed_records(tmp_path / "j") == untimed_records(tmp_path / "whole")


def test_a_journal_that_does_not_fit_the_space_is_refused(search_on, tmp_path):
    with Journal(tmp_path / "j") as journal:
        config = {"loss": {"distillation": "none"}}
        journal.append(
            TrialStarted(
                trial=0,
                params={"loss.distillation": "kl", "training.lr": 1e-3},
                config=config,
                config_hash="ab",
                seed=0,
            )
        )
    with pytest.raises(RunError, match=r"journal's trial_started does not fit .*'kl' not in"):
        search_on(tmp_path / "j")


def test_a_search_that_has_had_its_epochs_ends_to_the_epoch(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j", num_trials=100, total_epochs=20)
    work(coordinator)
    records = untimed_records(tmp_path / "j")
    assert sum(record["event"] == "epoch" for record in records) == 20
    assert coordinator.is_finished
    assert coordinator.is_spent
    last = [record for record in records if record["event"] == "trial_ended"][-1]
    assert last["reason"] == "the search has had its 20 epochs"


def test_trials_side_by_side_finish_at_most_an_epoch_more_each(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j", num_trials=100, total_epochs=20)
    work(coordinator, at_once=3, rng=np.random.default_rng(1))
    assert 20 <= coordinator.num_epochs <= 22
    assert coordinator.is_finished


def test_a_search_is_resumed_with_more_epochs(search_on, tmp_path):
    work(search_on(tmp_path / "j", num_trials=100, total_epochs=20))
    more = search_on(tmp_path / "j", num_trials=100, total_epochs=31)
    assert not more.is_finished
    work(more)
    assert more.num_epochs == 31
