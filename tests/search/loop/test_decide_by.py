"""Searches whose trials are compared by another figure than the VEER."""

import pytest

from results.analysis.run_view import RunView
from results.journal.decision import FIGURE_NAMES
from results.journal.journal import Journal, read_journal
from results.journal.run_folder import RunFolder
from search.config.sections import FollowUpPlan
from search.loop.follow_ups import FollowUpCandidate, finalists, finalists_so_far
from search.loop.stop_check import rung_stops
from tests.worlds.journals import made_record
from tests.worlds.proposing import WIDE
from tests.worlds.simulated_search import Killed, untimed_records, work

PLAN = FollowUpPlan(repeat=1, finalists=2, control=1, seed=0)
OTHERS = [kind for kind in FIGURE_NAMES if kind != "veer"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHERS)
def test_killed_at_any_epoch_it_goes_on_to_the_same_end(search_on, tmp_path, kind):
    more = {"num_trials": 13, "decide_by": kind, "follow_ups": PLAN}
    work(search_on(tmp_path / "whole", **more))
    whole = untimed_records(tmp_path / "whole")
    num_epochs = sum(r["event"] == "epoch" for r in whole)
    for epochs in range(0, num_epochs, 11):
        path = tmp_path / f"killed-{epochs}"
        with pytest.raises(Killed):
            work(search_on(path, **more), epochs=epochs)
        work(search_on(path, **more))
        assert untimed_records(path) == whole, epochs


@pytest.mark.parametrize("kind", OTHERS)
def test_killed_now_and_then_it_goes_on_to_the_same_end(search_on, tmp_path, kind):
    more = {"num_trials": 13, "decide_by": kind, "follow_ups": PLAN}
    work(search_on(tmp_path / "whole", **more))
    path = tmp_path / "killed"
    for epochs in (1, 4, 9, 16):
        with pytest.raises(Killed):
            work(search_on(path, **more), epochs=epochs)
    work(search_on(path, **more))
    assert untimed_records(path) == untimed_records(tmp_path / "whole")


@pytest.mark.parametrize("kind", OTHERS)
def test_another_figure_stops_other_trials(search_on, tmp_path, kind):
    stops = []
    for each in ("veer", kind):
        work(search_on(tmp_path / each, num_trials=30, decide_by=each, kind="random"))
        ended = [r for r in untimed_records(tmp_path / each) if r["event"] == "trial_ended"]
        stops.append([r["trial"] for r in ended if r["state"] == "stopped_early"])
    assert stops[0] != stops[1]


@pytest.mark.parametrize("kind", FIGURE_NAMES)
def test_a_stopped_trial_records_the_name_of_the_figure(search_on, tmp_path, kind):
    work(search_on(tmp_path / "j", decide_by=kind))
    ended = [r for r in untimed_records(tmp_path / "j") if r["event"] == "trial_ended"]
    reasons = [r["reason"] for r in ended if r["state"] == "stopped_early"]
    assert reasons
    assert all(reason.startswith(f"{FIGURE_NAMES[kind]} above ") for reason in reasons)


def search_by_dprime(begin):
    """Trial 0 has the lower VEER, trial 1 the higher d' in its second epoch."""
    search = begin(WIDE, num_trials=2, decide_by="dprime")
    for veers, dprimes in (((9.0, 8.0, 7.0), (1.0, 1.0, 1.0)), ((9.5, 8.5, 7.5), (1.0, 3.0, 2.0))):
        course = search.coordinator.next_trial()
        for epoch, (veer_pct, dprime) in enumerate(zip(veers, dprimes, strict=True), start=1):
            search.coordinator.report(course.trial, epoch, veer_pct, {"dprime": dprime})
    return search


def test_the_sampler_gets_the_figure(begin):
    search = search_by_dprime(begin)
    values = [trial.value for trial in search.suggestions.study.trials]
    assert values == pytest.approx([30.853754, 6.680720])
    reported = search.suggestions.study.trials[1].intermediate_values
    assert reported == pytest.approx({1: 30.853754, 2: 6.680720, 3: 15.865525})


def test_ranking_and_finalists_stand_on_the_figure_live_and_by_the_journal(begin, tmp_path):
    """The journal has no `search_started` here: it gets one that names the figure."""
    search = search_by_dprime(begin)
    live = [FollowUpCandidate.from_trial(trial) for trial in search.coordinator.trials]
    assert [each.trial for each in finalists(live, 1)] == [1]
    assert [each.trial for each in finalists_so_far(search.coordinator.trials, 1)] == [1]
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(_started(decide_by="dprime"))
        for record in read_journal(tmp_path / "journal"):
            journal.append(record)
    view = RunView.read(RunFolder(tmp_path))
    assert [trial.trial for trial in view.ranked] == [1, 0]
    recorded = [
        FollowUpCandidate.from_history(each, rung_stops(view.records)) for each in view.own
    ]
    assert recorded == live


def _started(**settings):
    more = {"scheduler": {"kind": "none"}, "max_epochs": 3, **settings}
    return made_record("search_started", settings=more)


def test_a_target_is_a_veer(begin):
    """An EER of 6.7 % from d' does not meet a target of 7 %, a VEER of 7 % does."""
    search = begin(WIDE, num_trials=2, decide_by="dprime", target_pct=7.0)
    course = search.coordinator.next_trial()
    search.coordinator.report(course.trial, 1, 7.5, {"dprime": 3.0})
    assert search.coordinator.met_by is None
    search.coordinator.report(course.trial, 2, 7.0, {"dprime": 1.0})
    assert search.coordinator.met_by == 0
