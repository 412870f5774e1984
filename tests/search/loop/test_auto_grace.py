"""`grace_epochs: auto`: the first rung that stops trials moves with what the rungs show."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from results.journal.journal import read_journal
from results.records.search_records import GraceChanged
from search.config.sections import FollowUpPlan, SchedulerConfig
from search.loop.auto_grace import (
    FEWEST_TRIALS,
    LOWER_ABOVE,
    MOST_TRIALS,
    RAISE_BELOW,
    AutoGrace,
    kendall_tau,
)
from search.loop.early_stopping import SuccessiveHalving, make_halving
from search.loop.stop_check import stop_faults
from spaces.files.errors import RunError
from tests.worlds.journals import changed, made_record
from tests.worlds.simulated_search import Killed, untimed_records, work

RUNGS = [1.0, 3.0, 9.0, 27.0]
LONG = {"max_epochs": 81, "has_auto_grace": True}


def fill(grace: AutoGrace, place: int, orders, *, first: int = 0) -> None:
    """Record trials at a rung and the next one, in these orders; all pass."""
    for number, (here, there) in enumerate(orders, start=first):
        grace.record(RUNGS[place], number, here, passes=True)
        grace.record(RUNGS[place + 1], number, there, passes=True)


def stable(num: int):
    return [(float(n), float(n)) for n in range(num)]


def reversed_order(num: int):
    return [(float(n), float(-n)) for n in range(num)]


def settle(grace: AutoGrace) -> list[GraceChanged]:
    changes = []
    while (change := grace.due()) is not None:
        grace.take(change)
        changes.append(change)
    return changes


@pytest.mark.parametrize("seed", range(5))
def test_tau_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 12))
    found = kendall_tau(list(zip(x, y, strict=True)))
    assert found == pytest.approx(kendalltau(x, y).statistic)


def test_equal_figures_count_for_neither_order():
    assert kendall_tau([(1.0, 1.0), (1.0, 2.0), (2.0, 3.0)]) == pytest.approx(2 / 3)


def test_it_begins_at_the_lowest_rung():
    assert AutoGrace(RUNGS).epochs == 1
    assert AutoGrace([]).due() is None


def test_few_trials_change_nothing():
    grace = AutoGrace(RUNGS)
    fill(grace, 0, reversed_order(FEWEST_TRIALS - 1))
    assert grace.due() is None
    fill(grace, 0, [(100.0, -100.0)], first=50)
    [change] = settle(grace)
    assert (change.was_epochs, change.grace_epochs, change.rung) == (1, 3, 1)
    assert (change.tau, change.num_trials) == (-1, FEWEST_TRIALS)


def test_nothing_changes_before_the_change_is_taken():
    grace = AutoGrace(RUNGS)
    fill(grace, 0, reversed_order(FEWEST_TRIALS))
    assert (grace.due() is not None, grace.epochs) == (True, 1)


def test_a_stable_order_raises_nothing():
    grace = AutoGrace(RUNGS)
    fill(grace, 0, stable(FEWEST_TRIALS))
    assert grace.due() is None


def test_trials_that_would_be_stopped_are_no_evidence():
    grace = AutoGrace(RUNGS)
    for number, (here, there) in enumerate(reversed_order(2 * FEWEST_TRIALS)):
        grace.record(1.0, number, here, passes=False)
        grace.record(3.0, number, there, passes=True)
    assert grace.due() is None


def test_it_is_lowered_again_once_the_order_holds_well():
    """The latest trials count: a sampler that has learnt proposes others."""
    grace = AutoGrace(RUNGS)
    fill(grace, 0, reversed_order(FEWEST_TRIALS))
    settle(grace)
    fill(grace, 0, stable(MOST_TRIALS), first=100)
    [change] = settle(grace)
    assert (change.was_epochs, change.grace_epochs, change.rung) == (3, 1, 1)
    assert (change.tau, change.num_trials) == (1, MOST_TRIALS)


def test_between_the_limits_nothing_moves_in_either_direction():
    rng = np.random.default_rng(0)
    pairs = []
    while not RAISE_BELOW < (kendall_tau(pairs) if len(pairs) > 1 else 0) < LOWER_ABOVE:
        x = rng.normal(size=12)
        pairs = list(zip(x, x + 1.2 * rng.normal(size=12), strict=True))
    at_one, at_three = AutoGrace(RUNGS), AutoGrace(RUNGS)
    at_three.take(made_grace(3.0))
    for grace in (at_one, at_three):
        fill(grace, 0, pairs)
        assert grace.due() is None


def made_grace(epochs: float, was: float = 1.0) -> GraceChanged:
    return GraceChanged(grace_epochs=epochs, was_epochs=was, rung=1.0, tau=0.1, num_trials=9)


def test_two_rungs_always_stop_trials():
    grace = AutoGrace(RUNGS)
    for place in range(3):
        fill(grace, place, reversed_order(FEWEST_TRIALS), first=100 * place)
    assert [each.grace_epochs for each in settle(grace)] == [3, 9]
    for few in ([1.0], [1.0, 3.0]):
        grace = AutoGrace(few)
        fill_two = reversed_order(FEWEST_TRIALS)
        for number, (here, there) in enumerate(fill_two):
            grace.record(1.0, number, here, passes=True)
            if len(few) > 1:
                grace.record(3.0, number, there, passes=True)
        assert settle(grace) == []


def test_a_rung_in_the_grace_compares_trials_and_stops_none():
    halving = SuccessiveHalving([1, 3, 9], 3, has_auto_grace=True)
    halving.take_grace(made_grace(3.0))
    halving.decide(0, 1, 10.0)
    verdict = halving.decide(1, 1, 20.0)
    assert (verdict.stop, verdict.in_grace, verdict.cutoff_pct) == (False, True, 10.0)
    halving.decide(0, 3, 10.0)
    verdict = halving.decide(1, 3, 20.0)
    assert (verdict.stop, verdict.in_grace) == (True, False)
    assert halving.recorded() == {1: {0: 10.0, 1: 20.0}, 3: {0: 10.0, 1: 20.0}, 9: {}}


def test_a_change_that_does_not_fit_is_refused():
    with pytest.raises(RunError, match=r"must be to a rung \(1, 3, 9\), got 2; restore"):
        SuccessiveHalving([1, 3, 9], 3, has_auto_grace=True).take_grace(made_grace(2.0))
    with pytest.raises(RunError, match="its grace_epochs is not auto; restore"):
        SuccessiveHalving([1, 3, 9], 3).take_grace(made_grace(3.0))


def test_settings_make_it():
    auto = make_halving(SchedulerConfig(grace_epochs="auto"), 27)
    assert (list(auto.recorded()), auto.auto_grace.epochs) == ([1, 3, 9], 1)
    fixed = make_halving(SchedulerConfig(grace_epochs=3), 27)
    assert (list(fixed.recorded()), fixed.auto_grace) == ([3, 9], None)


def search(search_on, path, **more):
    """A search whose rung 1 tells little: the made-up curves are noisy there."""
    return search_on(path, num_trials=40, kind="random", decide_by="dprime", **LONG, **more)


def grace_changes(path):
    return [r for r in untimed_records(path) if r["event"] == "grace_changed"]


def test_a_search_moves_its_grace_and_its_stops_follow(search_on, tmp_path):
    work(search(search_on, tmp_path / "j"))
    assert grace_changes(tmp_path / "j")
    scheduler = {"kind": "asha", "grace_epochs": "auto", "reduction_factor": 3}
    settings = {"scheduler": scheduler, "max_epochs": 81, "decide_by": "dprime"}
    records = [made_record("search_started", settings=settings), *read_journal(tmp_path / "j")]
    assert stop_faults([*records, made_record("search_ended", reason="finished")]) == ()


def test_changes_that_the_rungs_do_not_require_are_caught(search_on, tmp_path):
    work(search(search_on, tmp_path / "j"))
    scheduler = {"kind": "asha", "grace_epochs": "auto", "reduction_factor": 3}
    settings = {"scheduler": scheduler, "max_epochs": 81, "decide_by": "dprime"}
    records = [made_record("search_started", settings=settings), *read_journal(tmp_path / "j")]
    at = next(n for n, record in enumerate(records) if isinstance(record, GraceChanged))
    without = [*records[:at], *records[at + 1 :]]
    assert stop_faults(without)[0] == "the grace was to change from 1 to 3 epochs, but did not"
    forged = [*records[:at], changed(records[at], grace_epochs=9.0), *records[at + 1 :]]
    assert stop_faults(forged)[0] == (
        "the grace was changed from 1 to 9 epochs, where the rungs require 3"
    )
    early = [*records[:2], records[at], *records[2:at], *records[at + 1 :]]
    assert stop_faults(early)[0] == (
        "the grace was changed from 1 to 3 epochs, where the rungs require no change"
    )


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 3])
def test_killed_and_torn_it_goes_on_to_the_same_end(search_on, tmp_path, at_once):
    work(search(search_on, tmp_path / "whole"), at_once=at_once)
    whole = untimed_records(tmp_path / "whole")
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    places = [n for n, record in enumerate(whole) if record["event"] == "grace_changed"]
    for kept in {*places, *(n + 1 for n in places), *range(0, len(lines), 250)}:
        path = tmp_path / f"torn-{kept}"
        path.write_text("".join(lines[:kept]) + (lines[kept][:20] if kept < len(lines) else ""))
        coordinator = search(search_on, path)
        if at_once == 1:
            work(coordinator)
            assert untimed_records(path) == whole, kept
        else:
            # Which trial reports next is not in the journal; what follows from it is.
            assert untimed_records(path)[: len(whole[:kept])] == whole[:kept]
            if kept in places:
                assert untimed_records(path)[kept] == whole[kept]


@pytest.mark.slow
def test_killed_at_any_epoch_it_goes_on_to_the_same_end(search_on, tmp_path):
    plan = FollowUpPlan(repeat=1, finalists=2, control=1, seed=0)
    work(search(search_on, tmp_path / "whole", follow_ups=plan))
    whole = untimed_records(tmp_path / "whole")
    for epochs in range(0, sum(r["event"] == "epoch" for r in whole), 409):
        path = tmp_path / f"killed-{epochs}"
        with pytest.raises(Killed):
            work(search(search_on, path, follow_ups=plan), epochs=epochs)
        work(search(search_on, path, follow_ups=plan))
        assert untimed_records(path) == whole, epochs


@pytest.mark.slow
def test_controls_and_repeats_change_nothing(search_on, tmp_path):
    """Trials that are added later are the same with and without them."""
    plan = FollowUpPlan(repeat=2, finalists=3, control=8, seed=0)
    for name, more in (("without", {}), ("with", {"follow_ups": plan})):
        work(search(search_on, tmp_path / name, **more))
        more = more | {"kind": "random", "decide_by": "dprime"}
        work(search_on(tmp_path / name, num_trials=60, **LONG, **more))
    starts = [
        [(r["params"], r["seed"]) for r in untimed_records(tmp_path / name)
         if r["event"] == "trial_started" and "follow_up" not in r]
        for name in ("without", "with")
    ]  # fmt: skip
    assert starts[0] == starts[1]
    assert grace_changes(tmp_path / "without") == grace_changes(tmp_path / "with")
