"""Repeats of the best and controls: what is run after a search's own trials."""

from pathlib import Path

import numpy as np
import pytest

from results.analysis.ranking import ranked
from results.journal.history import trial_histories
from results.journal.journal import read_journal
from results.records.trial_records import TrialEnded
from search.config.sections import FollowUpPlan
from search.loop.follow_ups import (
    FollowUpCandidate,
    due_by_journal,
    due_follow_ups,
    finalists,
    repeat_seeds,
)
from search.loop.stop_check import stop_faults
from tests.worlds.journals import changed, made_record
from tests.worlds.simulated_search import MAX_EPOCHS, Clock, Killed, untimed_records, work

PLAN = FollowUpPlan(repeat=2, finalists=3, control=2, seed=0)


def ended(trial, veer_pct=None, *, recipe=None, seed=None, is_cut=False, kind=None, follows=None):
    return FollowUpCandidate(
        trial=trial,
        seed=trial if seed is None else seed,
        recipe=recipe or f"recipe {trial}",
        decision_pct=veer_pct,
        is_cut=is_cut,
        follow_up=kind,
        follows=follows,
    )


def begun(path: Path, kind: str) -> list[dict]:
    starts = [r for r in untimed_records(path) if r["event"] == "trial_started"]
    return [r for r in starts if r.get("follow_up") == kind]


def own_veers(path: Path) -> dict[int, float]:
    trials = trial_histories(read_journal(path))
    return {t.trial: t.best_veer_pct for t in trials if t.follow_up is None}


def test_the_best_are_repeated_and_stopped_ones_run_to_the_end(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j", follow_ups=PLAN)
    work(coordinator)
    assert coordinator.is_finished
    veers = own_veers(tmp_path / "j")
    best = sorted(veers, key=lambda trial: (veers[trial], trial))[:3]
    repeats, controls = begun(tmp_path / "j", "repeat"), begun(tmp_path / "j", "control")
    assert [record["follows"] for record in repeats] == [*best, *best]
    assert [record["trial"] for record in (*repeats, *controls)] == list(range(8, 16))
    assert len({record["follows"] for record in controls}) == 2
    for record in (*repeats, *controls):
        followed = coordinator.trials[record["follows"]]
        assert record["params"] == followed.suggestion.params
        assert record["config"] == followed.config.canonical() | {"seed": record["seed"]}
        course = coordinator.trials[record["trial"]]
        assert (course.state, course.epoch) == ("complete", MAX_EPOCHS)
        is_repeat = record["follow_up"] == "repeat"
        assert (record["seed"] != followed.config.seed) == is_repeat
        assert is_repeat or followed.state == "stopped_early"


def test_a_control_has_the_epochs_of_the_trial_that_it_follows(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j", follow_ups=PLAN)
    work(coordinator)
    for record in begun(tmp_path / "j", "control"):
        one, other = (coordinator.trials[record[key]].veer_pct for key in ("follows", "trial"))
        assert {epoch: other[epoch] for epoch in one} == one
        assert len(other) > len(one)


def test_the_sampler_and_early_stopping_know_nothing_of_follow_ups(search_on, tmp_path):
    """Those asked for early and late give the same search; more trials see no difference."""
    work(search_on(tmp_path / "plain", num_trials=12))
    work(search_on(tmp_path / "j", num_trials=8, follow_ups=PLAN))
    work(search_on(tmp_path / "j", num_trials=12))
    plain, followed = untimed_records(tmp_path / "plain"), untimed_records(tmp_path / "j")
    number = {8 + place: 16 + place for place in range(4)}  # eight follow-ups came before

    def of_own(records):
        following = {r["trial"] for r in records if "follow_up" in r}
        return [r for r in records if r.get("trial") not in following]

    assert of_own(followed) == [
        r | ({"trial": number.get(r["trial"], r["trial"])} if "trial" in r else {}) for r in plain
    ]


@pytest.mark.slow
def test_killed_at_any_epoch_it_goes_on_to_the_same_end(search_on, tmp_path):
    work(search_on(tmp_path / "whole", num_trials=5, follow_ups=PLAN))
    whole = untimed_records(tmp_path / "whole")
    num_epochs = sum(r["event"] == "epoch" for r in whole)
    for epochs in range(0, num_epochs, 7):
        path = tmp_path / f"killed-{epochs}"
        with pytest.raises(Killed):
            work(search_on(path, num_trials=5, follow_ups=PLAN), epochs=epochs)
        work(search_on(path, num_trials=5, follow_ups=PLAN))
        assert untimed_records(path) == whole, epochs


@pytest.mark.slow
def test_torn_after_any_record_it_goes_on_to_the_same_end(search_on, tmp_path):
    work(search_on(tmp_path / "whole", num_trials=5, follow_ups=PLAN))
    whole = untimed_records(tmp_path / "whole")
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    for kept in range(1, len(lines), 8):
        path = tmp_path / f"torn-{kept}"
        path.write_text("".join(lines[:kept]) + lines[kept][:20])
        work(search_on(path, num_trials=5, follow_ups=PLAN))
        assert untimed_records(path) == whole, kept


@pytest.mark.parametrize("seed", range(3))
def test_several_trials_at_once_killed_often_lose_and_repeat_nothing(search_on, tmp_path, seed):
    rng, path = np.random.default_rng(seed), tmp_path / "j"
    for _ in range(9):
        try:
            epochs = int(rng.integers(20))
            work(search_on(path, follow_ups=PLAN), at_once=3, rng=rng, epochs=epochs)
        except Killed:
            continue
    coordinator = search_on(path, follow_ups=PLAN)
    work(coordinator, at_once=3, rng=rng)
    assert coordinator.is_finished
    assert len(begun(path, "repeat")) == 6
    assert len(begun(path, "control")) == 2
    epochs = [(r["trial"], r["epoch"]) for r in untimed_records(path) if r["event"] == "epoch"]
    assert len(epochs) == len(set(epochs))
    records = untimed_records(path)
    own = {r["trial"]: i for i, r in enumerate(records) if r["event"] == "trial_ended"}
    first = next(i for i, r in enumerate(records) if "follow_up" in r)
    assert max(place for trial, place in own.items() if trial < 8) < first


def test_a_finished_search_may_be_given_repeats_and_then_more(search_on, tmp_path):
    path = tmp_path / "j"
    work(search_on(path))
    later = search_on(path, follow_ups=FollowUpPlan(repeat=1, finalists=3))
    assert not later.is_finished
    work(later)
    work(search_on(path, follow_ups=FollowUpPlan(repeat=2, finalists=3, control=2)))
    work(search_on(tmp_path / "at-once", follow_ups=PLAN))
    assert untimed_records(path) == untimed_records(tmp_path / "at-once")


def test_a_new_finalist_of_more_trials_is_repeated_too(search_on, tmp_path):
    path, plan = tmp_path / "j", FollowUpPlan(repeat=2, finalists=2)
    work(search_on(path, num_trials=3, follow_ups=plan))
    work(search_on(path, num_trials=12, follow_ups=plan))
    veers = own_veers(path)
    best = sorted(veers, key=lambda trial: (veers[trial], trial))[:2]
    repeated = [record["follows"] for record in begun(path, "repeat")]
    assert set(best) <= set(repeated)
    assert all(repeated.count(trial) == 2 for trial in repeated)


def test_no_follow_up_is_begun_once_the_time_is_up(search_on, tmp_path):
    clock = Clock()
    plan = FollowUpPlan(repeat=2, finalists=1)
    coordinator = search_on(
        tmp_path / "j", num_trials=1, clock=clock, time_limit_s=60.0, follow_ups=plan
    )
    work_one(coordinator, coordinator.next_trial())
    repeat = coordinator.next_trial()
    assert coordinator.report(repeat.trial, 1, 20.0, {})
    clock.now_s += 60
    assert not coordinator.report(repeat.trial, 2, 10.0, {})
    assert coordinator.next_trial() is None
    assert (coordinator.halted, coordinator.is_finished) == ("time_limit", False)
    again = search_on(tmp_path / "j", num_trials=1, follow_ups=plan)
    assert [again.next_trial().trial for _ in range(2)] == [1, 2]


def work_one(coordinator, course):
    epoch = 1
    while coordinator.report(course.trial, epoch, 20.0 / epoch, {}):
        epoch += 1


def test_the_budget_of_epochs_is_of_the_searchs_own_trials(search_on, tmp_path):
    path = tmp_path / "j"
    coordinator = search_on(path, num_trials=100, total_epochs=20, follow_ups=PLAN)
    work(coordinator)
    assert (coordinator.num_epochs, coordinator.is_finished) == (20, True)
    following = {trial.trial for trial in coordinator.trials if trial.follow_up}
    assert {coordinator.trials[number].epoch for number in following} == {MAX_EPOCHS}
    states = [(r["trial"], r.get("state")) for r in untimed_records(path) if "trial" in r]
    assert all(state in (None, "complete") for trial, state in states if trial in following)


def test_a_met_target_ends_the_search_and_then_the_best_are_repeated(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j", num_trials=50, target_pct=10.0, follow_ups=PLAN)
    work(coordinator)
    assert coordinator.met_by is not None
    assert len(coordinator.own_trials) < 50
    repeats = [trial for trial in coordinator.trials if trial.follow_up == "repeat"]
    assert [trial.state for trial in repeats] == ["complete"] * 6


def test_a_repeat_that_meets_the_target_ends_nothing(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j", num_trials=1, target_pct=1.0, follow_ups=PLAN)
    work_one(coordinator, coordinator.next_trial())
    repeat = coordinator.next_trial()
    assert coordinator.report(repeat.trial, 1, 0.5, {})
    assert coordinator.met_by is None


def test_a_repeat_that_diverged_or_failed_is_not_begun_again(search_on, tmp_path):
    plan = FollowUpPlan(repeat=2, finalists=1)
    coordinator = search_on(tmp_path / "j", num_trials=1, follow_ups=plan)
    work_one(coordinator, coordinator.next_trial())
    assert not coordinator.report(coordinator.next_trial().trial, 1, float("nan"), {})
    coordinator.end(coordinator.next_trial().trial, "failed", "a bug")
    assert coordinator.is_finished
    assert [trial.state for trial in coordinator.trials] == ["complete", "diverged", "failed"]
    assert [trial.trial for trial in ranked(coordinator.trials)] == [0]
    assert search_on(tmp_path / "j", num_trials=1, follow_ups=plan).is_finished


def test_journal_and_coordinator_agree_on_what_is_due(search_on, tmp_path):
    path = tmp_path / "j"
    coordinator = search_on(path, num_trials=12)
    work(coordinator)
    for plan in (PLAN, FollowUpPlan(control=50), FollowUpPlan(repeat=3, finalists=9, seed=5)):
        # The settings that the rungs of `simulated_search` have.
        settings = {"scheduler": {"kind": "asha", "grace_epochs": 1, "reduction_factor": 3}}
        settings |= {"max_epochs": MAX_EPOCHS}
        records = [made_record("search_started", settings=settings), *read_journal(path)]
        due = due_by_journal(records, plan)
        assert due
        assert due == list(search_on(path, num_trials=12, follow_ups=plan).due)


def test_the_stops_of_a_search_with_follow_ups_follow_from_its_rungs(search_on, tmp_path):
    work(search_on(tmp_path / "j", num_trials=12, follow_ups=PLAN))
    settings = {"scheduler": {"kind": "asha", "grace_epochs": 1, "reduction_factor": 3}}
    started = made_record("search_started", settings=settings | {"max_epochs": MAX_EPOCHS})
    records = [started, *read_journal(tmp_path / "j")]
    assert stop_faults(records) == ()
    number = begun(tmp_path / "j", "repeat")[0]["trial"]
    forged = [
        changed(r, state="stopped_early")
        if isinstance(r, TrialEnded) and r.trial == number
        else r
        for r in records
    ]
    [fault] = stop_faults(forged)
    assert fault == f"trial {number} was stopped after epoch 9, though a repeat runs to the end"


def test_finalists_are_of_different_configs():
    trials = [ended(0, 9.0, recipe="a"), ended(1, 8.0, recipe="a"), ended(2, 8.5), ended(3)]
    assert [each.trial for each in finalists(trials, 3)] == [1, 2]
    assert [each.trial for each in finalists(trials, 1)] == [1]


def test_seeds_of_repeats_are_new_the_same_for_all_and_stay():
    five, three = (FollowUpPlan(repeat=number, seed=7) for number in (5, 3))
    seeds = repeat_seeds(five, ())
    assert len(set(seeds)) == 5
    assert repeat_seeds(three, ()) == seeds[:3]
    assert repeat_seeds(five, {seeds[1]})[:4] == [seeds[0], *seeds[2:]]
    assert repeat_seeds(FollowUpPlan(repeat=5, seed=8), ()) != seeds


def test_controls_are_drawn_evenly_and_only_from_the_stopped():
    trials = [ended(0, 9.0), *(ended(n, 20.0 + n, is_cut=True) for n in range(1, 6))]
    counts = dict.fromkeys(range(1, 6), 0)
    for seed in range(2000):
        for each in due_follow_ups(trials, FollowUpPlan(control=2, seed=seed)):
            assert each.kind == "control"
            counts[each.follows] += 1
    # 800 each of 4000 draws; the standard deviation is sqrt(2000 * 0.4 * 0.6), about 22.
    assert all(abs(count - 800) < 5 * 22 for count in counts.values()), counts


def test_controls_that_were_begun_are_counted_in():
    trials = [*(ended(n, 20.0, is_cut=True) for n in range(6))]
    first = due_follow_ups(trials, FollowUpPlan(control=2))
    run = [
        ended(6 + n, kind="control", follows=each.follows) for n, each in enumerate(first)
    ]
    assert due_follow_ups([*trials, *run], FollowUpPlan(control=2)) == []
    more = due_follow_ups([*trials, *run], FollowUpPlan(control=3))
    assert [*first, *more] == due_follow_ups(trials, FollowUpPlan(control=3))
