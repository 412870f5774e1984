"""The running trials in a journal, and the time without a report of a trial."""

from tests.chaos.workers import AtWork, at_work, longest_gap_s
from tests.worlds.journals import made_record


def record(event, trial, time_s=0.0, **fields):
    return made_record(event, trial=trial, time_s=time_s, **fields)


PLACED = [
    record("placed", 0, pid=11, epoch=0),
    record("epoch", 0, epoch=1),
    record("placed", 1, pid=12, epoch=4),
    record("epoch", 0, epoch=2),
]


def test_placed_trials_are_at_work():
    assert at_work(PLACED) == {
        0: AtWork(pid=11, num_epochs=2, epoch=2),
        1: AtWork(pid=12, num_epochs=0, epoch=4),
    }


def test_a_trial_is_not_at_work_after_a_fault_or_its_end_or_a_new_start():
    assert at_work([*PLACED, record("infrastructure", 0)]).keys() == {1}
    assert at_work([*PLACED, record("trial_ended", 1)]).keys() == {0}
    assert at_work([*PLACED, made_record("search_resumed")]) == {}


def test_a_trial_that_was_placed_again_counts_its_epochs_there():
    again = [*PLACED, record("placed", 0, pid=13, epoch=2), record("epoch", 0, epoch=3)]
    assert at_work(again)[0] == AtWork(pid=13, num_epochs=1, epoch=3)


def test_the_longest_gap_includes_both_ends():
    epochs = [record("epoch", 0, time_s) for time_s in (0.0, 3.0, 4.0, 9.0)]
    other = [record("epoch", 1, 6.0)]
    assert longest_gap_s([*epochs, *other], 0, 1.0, 8.5) == 4.5
    assert longest_gap_s(epochs, 0, 2.5, 5.0) == 1.0
    assert longest_gap_s(epochs, 5, 2.0, 7.0) == 5.0
