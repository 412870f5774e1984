"""Counting of losses, on constructed journals."""

from dataclasses import replace

import pytest

from results.journal.journal import Journal
from results.records.search_records import SearchStarted
from results.records.trial_records import EpochEnded
from tests.chaos.accounting import Losses, Snapshot, losses, snapshot
from tests.chaos.faults import (
    GENTLE,
    cut_power,
    kill_driver,
    kill_group,
    press_ctrl_c,
    press_ctrl_c_twice,
    terminate,
)
from tests.worlds.journals import made_record
from trainable.checkpoints.folder import CheckpointFolder

SETTINGS = {"scheduler": {"kind": "none"}, "max_epochs": 3, "num_trials": 2}


def record(event, **fields):
    return made_record(event, time_s=0.0, **fields)


def started(trial):
    return record("trial_started", trial=trial, params={}, config={}, config_hash="", seed=0)


def epoch(trial, number):
    return record("epoch", trial=trial, epoch=number, veer_pct=10.0)


def ended(trial, state="complete"):
    return record("trial_ended", trial=trial, state=state, reason=None)


BEGUN = record("search_started", settings=SETTINGS)
FIRST = [started(0), epoch(0, 1), epoch(0, 2), epoch(0, 3), ended(0)]
SECOND = [started(1), epoch(1, 1), epoch(1, 2), epoch(1, 3), ended(1)]
WHOLE = [BEGUN, *FIRST, *SECOND]


def at(records, checkpoints=None):
    return Snapshot(records=tuple(records), checkpoints=checkpoints or {})


def test_a_whole_search_has_lost_nothing():
    found = losses([at(WHOLE[:3], {0: 1}), at(WHOLE[:8], {1: 2})], WHOLE, 2)
    assert found == Losses(epochs_again=1)
    assert found.is_harmless


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ([BEGUN, *FIRST], {"trials_lost": 1}),
        ([*WHOLE[:-1]], {"trials_lost": 1}),
        ([*WHOLE[:-1], ended(1, "failed")], {"trials_lost": 1}),
        ([*WHOLE, started(1), ended(1)], {"trials_repeated": 1}),
        ([*WHOLE[:3], *WHOLE[4:]], {"epochs_lost": 1}),
        ([*WHOLE[:4], *WHOLE[5:]], {"epochs_lost": 1}),
        ([*WHOLE, epoch(0, 2)], {"epochs_repeated": 1}),
    ],
    ids=[
        "a trial not begun",
        "a trial without an end",
        "a trial that failed",
        "a trial begun twice",
        "an epoch in the middle",
        "the last epoch of a complete trial",
        "an epoch reported twice",
    ],
)
def test_what_the_end_lacks_or_has_twice(end, expected):
    found = losses([], end, 2)
    assert found == Losses(**expected)
    assert not found.is_harmless


def test_an_epoch_that_a_snapshot_had_and_the_end_lacks_is_lost():
    end = [BEGUN, started(0), epoch(0, 1), ended(0, "stopped_early"), *SECOND]
    faults = losses([], end, 2).stop_faults
    reported = losses([at(WHOLE[:4])], end, 2)
    kept = losses([at([BEGUN, started(0)], {0: 3})], end, 2)
    assert (reported.epochs_lost, kept.epochs_lost) == (1, 2)
    assert reported.stop_faults == faults == (
        "trial 0 was stopped after epoch 1, where there is no rung",
    )  # fmt: skip


def test_a_trial_that_only_a_snapshot_knows_is_lost():
    assert losses([at([BEGUN, started(2)])], WHOLE, 2).trials_lost == 1


@pytest.mark.parametrize(
    ("kept", "count"),
    [
        (1, 2),  # epoch 2 was reported, and no checkpoint has it; epoch 3 was begun
        (2, 1),  # epoch 3 was begun
        (3, 0),  # epoch 3 was finished, and not yet reported to the driver
    ],
)
def test_epochs_to_be_computed_again(kept, count):
    assert at(WHOLE[:4], {0: kept}).num_interrupted == count


@pytest.mark.parametrize(("kept", "count"), [(1, 1), (2, 0), (3, 0)])
def test_after_a_gentle_end_only_what_no_checkpoint_holds_is_computed_again(kept, count):
    ended_gently = replace(at(WHOLE[:4], {0: kept}), is_gentle=True)
    assert ended_gently.num_interrupted == count
    assert losses([ended_gently], WHOLE, 2) == Losses(epochs_again=count)


def test_ctrl_c_once_is_the_only_gentle_driver_fault():
    gentle = {press_ctrl_c, press_ctrl_c_twice, terminate, kill_driver, kill_group, cut_power}
    assert gentle & GENTLE == {press_ctrl_c}


def test_nothing_is_computed_again_of_a_trial_that_has_not_reported_since_a_start():
    resumed = record("search_resumed")
    assert at([*WHOLE[:4], resumed], {0: 2}).num_interrupted == 0
    assert at([*WHOLE[:4], resumed, epoch(0, 3)], {0: 3}).num_interrupted == 1


def test_only_the_trial_that_was_hit_counts():
    both = at([BEGUN, started(0), epoch(0, 1), started(1), epoch(1, 1)], {0: 1, 1: 1})
    assert (both.num_interrupted, both.only({1}).num_interrupted) == (2, 1)


def test_a_run_folder_is_read_as_it_is(tmp_path):
    assert snapshot(tmp_path) == at([])
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings=SETTINGS, provenance={}))
        journal.append(started(0))
        journal.append(EpochEnded(trial=0, epoch=1, veer_pct=3.0))
    for number in (1, 5):
        file = CheckpointFolder(tmp_path / "trials" / "0000").file_of(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    found = snapshot(tmp_path)
    assert found.epochs == {(0, number) for number in range(1, 6)}


def test_losses_of_two_searches_add_up():
    one = Losses(epochs_lost=1, epochs_again=2, stop_faults=("a",))
    assert one + one == Losses(epochs_lost=2, epochs_again=4, stop_faults=("a", "a"))
