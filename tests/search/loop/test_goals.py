"""Searches with several goals: what decides, what is recorded, what a resume repeats."""

from functools import partial

import pytest

from results.analysis.nondominated import nondominated
from results.journal.journal import read_journal
from results.records.search_records import SearchStarted
from results.records.trial_records import TrialEnded
from search.loop.early_stopping import SuccessiveHalving
from search.loop.stop_check import stop_faults
from tests.worlds.simulated_search import MAX_EPOCHS, Killed, untimed_records, work


class Meter:
    """Counts how often it is asked for the costs of a config."""

    def __init__(self) -> None:
        self.num_asked = 0

    def __call__(self, config) -> dict[str, float]:
        self.num_asked += 1
        return {"params": 1 + 1e6 * config.training.lr, "cpu_latency": 0.5}


@pytest.fixture
def search(search_on):
    return partial(search_on, num_trials=14, num_goals=3)


def settings(**more) -> SearchStarted:
    scheduler = {"kind": "asha", "grace_epochs": 1, "reduction_factor": 3}
    return SearchStarted(
        settings={"scheduler": scheduler, "max_epochs": MAX_EPOCHS, **more}, provenance={}
    )


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_a_killed_search_goes_on_to_the_same_end_and_measures_nothing_twice(
    search, tmp_path, kind
):
    meter = Meter()
    work(search(tmp_path / "whole", measure=meter, kind=kind))
    whole = untimed_records(tmp_path / "whole")
    starts = [r for r in whole if r["event"] == "trial_started"]
    assert meter.num_asked == len(starts) == 14
    assert all(list(r["costs"]) == ["params", "cpu_latency"] for r in starts)
    num_epochs = sum(r["event"] == "epoch" for r in whole)
    for epochs in (3, num_epochs // 2, num_epochs - 1):
        path, counted = tmp_path / f"killed-{epochs}", Meter()
        with pytest.raises(Killed):
            work(search(path, measure=counted, kind=kind), epochs=epochs)
        work(search(path, measure=counted, kind=kind))
        assert untimed_records(path) == whole, epochs
        assert counted.num_asked == 14


def test_one_goal_records_no_costs(search_on, tmp_path):
    work(search_on(tmp_path / "j"))
    starts = [r for r in untimed_records(tmp_path / "j") if r["event"] == "trial_started"]
    assert len(starts) == 8
    assert not any("costs" in r for r in starts)


def test_stops_follow_from_the_journal_and_name_the_comparison(search, tmp_path):
    work(search(tmp_path / "j", measure=Meter()))
    records = read_journal(tmp_path / "j")
    assert stop_faults([settings(), *records]) == ()
    reasons = [
        record.reason
        for record in records
        if isinstance(record, TrialEnded) and record.state == "stopped_early"
    ]
    assert reasons
    assert all(r.startswith("not among the best ") and ", the limit at rung" in r for r in reasons)
    # The same journal with the last stop taken back.
    last = max(n for n, r in enumerate(records) if r.event == "trial_ended" and r.reason)
    ended = TrialEnded(trial=records[last].trial, state="complete", reason=None)
    (fault,) = stop_faults([settings(), *records[:last], ended, *records[last + 1 :]])
    assert "since it is not among the best" in fault


def test_a_cheap_trial_goes_on_where_its_veer_alone_would_stop_it():
    halving = SuccessiveHalving([1], 3)
    for trial, (pct, cost) in enumerate([(10.0, 9.0), (11.0, 9.5), (12.0, 9.9)]):
        halving.decide(trial, 1, pct, (cost,))
    assert not halving.decide(3, 1, 10.8, (1.0,)).stop
    by_veer = SuccessiveHalving([1], 3)
    for trial, pct in enumerate([10.0, 11.0, 12.0]):
        by_veer.decide(trial, 1, pct)
    assert by_veer.decide(3, 1, 10.8).stop


def test_a_dominated_trial_is_stopped_and_an_epoch_reported_again_decides_nothing():
    halving = SuccessiveHalving([1], 2)
    assert halving.decide(0, 1, 10.0, (5.0,)).among is None
    verdict = halving.decide(1, 1, 11.0, (6.0,))
    assert (verdict.stop, verdict.among.passing, verdict.among.compared) == (True, 1, 2)
    assert halving.decide(1, 1, 11.0, (6.0,)) == verdict
    assert halving.recorded() == {1: {0: 10.0, 1: 11.0}}


def test_the_study_has_the_costs_and_a_stopped_trial_its_best_figure(search, tmp_path):
    coordinator = search(tmp_path / "j", measure=Meter())
    work(coordinator)
    study = coordinator._proposals._suggestions.study
    for course, trial in zip(coordinator.trials, study.trials, strict=True):
        expected = [course.best_decision_pct, 0.5, course.costs["params"]]
        assert (trial.state.name, trial.values) == ("COMPLETE", expected)
    assert {course.state for course in coordinator.trials} == {"complete", "stopped_early"}
    values = [tuple(trial.values) for trial in study.trials]
    assert {t.number for t in study.best_trials} == {*nondominated(values)}


def test_a_diverged_trial_has_no_values_in_the_study(search, tmp_path):
    coordinator = search(tmp_path / "j", measure=Meter())
    course = coordinator.next_trial()
    assert not coordinator.report(course.trial, 1, float("nan"), {})
    trial = coordinator._proposals._suggestions.study.trials[0]
    assert (trial.state.name, trial.values) == ("PRUNED", None)
