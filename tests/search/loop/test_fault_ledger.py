import pytest

from search.config.sections import FaultConfig
from search.loop.fault_ledger import FailureLimit, failure_reason, kinds_in_words, reason_lines
from search.loop.trial_course import Fault


def record_ends(limit: FailureLimit, *states: str, reason: str = "boom") -> list[str | None]:
    return [limit.record_end(trial, state, reason) for trial, state in enumerate(states)]


def test_kinds_are_counted_the_most_frequent_first():
    kinds = ["hung", "worker_lost", "worker_lost", "node_lost"]
    assert kinds_in_words(kinds) == "2 worker lost, 1 hung, 1 node lost"


def test_reason_of_a_failed_trial_names_kinds_count_and_the_last_message():
    faults = [Fault(kind="worker_lost", message="gone"), Fault(kind="hung", message="slow")]
    assert failure_reason(faults) == (
        "2 faults without a finished epoch in between (1 worker lost, 1 hung), the last: slow"
    )
    assert failure_reason(faults[:1]).startswith("a fault without a finished epoch")


@pytest.mark.parametrize(
    ("states", "stops_at"),
    [
        (["failed"] * 4, 3),
        (["failed"] * 3, None),
        # More than half: 4 of 8 is not, 5 of 9 is.
        (["complete"] * 4 + ["failed"] * 5, 8),
        (["stopped_early", "diverged"] * 2 + ["failed"] * 4, None),
        (["diverged"] * 20, None),
    ],
)
def test_more_than_a_share_of_failing_trials_stops_a_search(states, stops_at):
    messages = record_ends(FailureLimit(FaultConfig(max_failed_share=0.5, min_failed=4)), *states)
    stopped = [number for number, text in enumerate(messages) if text is not None]
    assert stopped[:1] == ([] if stops_at is None else [stops_at])


def test_reasons_that_differ_in_numbers_are_one_and_the_most_frequent_comes_first():
    lines = reason_lines(
        {
            0: "no file /data/a.wav",
            2: "process 812 at 0x7f3a died in epoch 3",
            5: "process 99 at 0x11 died in epoch 12",
            7: "process 7 at 0xff died in epoch 1",
        }
    )
    assert lines == [
        "  3 trials (2, 5, 7): process 812 at 0x7f3a died in epoch 3 (others: other numbers)",
        "  1 trial (0): no file /data/a.wav",
    ]


def test_ids_of_actors_and_floats_are_numbers_too():
    one = "actor 3bf2c05f6b03fdb1c3a318f401000000 took 1.5e-3 s"
    other = "actor dec46d7ce373034aee700e5801000000 took 22 s"
    assert reason_lines({1: one, 2: other}) == [
        f"  2 trials (1, 2): {one} (others: other numbers)"
    ]


def test_a_hundred_trials_are_not_all_listed():
    [line] = reason_lines(dict.fromkeys(range(100), "boom"))
    assert line == "  100 trials (0, 1, 2, 3, 4, 5, 6, 7 and 92 more): boom"


def test_message_of_a_stop_gives_count_and_reasons():
    messages = record_ends(FailureLimit(FaultConfig(min_failed=2)), "complete", "failed", "failed")
    assert messages[-1] == (
        "2 of 3 trials failed, the most frequent reason first:\n  2 trials (1, 2): boom"
    )
