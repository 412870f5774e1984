"""Tallies of faults and failures, and their texts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.analysis.faults import (
    failure_tallies,
    fault_in_words,
    fault_remarks,
    fault_tallies,
    incidents,
    utc,
)
from results.journal.history import TrialHistory, trial_histories
from results.journal.journal import Journal, read_journal
from results.records.trial_records import FAULT_KINDS, InfrastructureFault, TrialEnded, TrialPlaced
from results.tables.trials import trials_table
from tests.worlds.journal_writing import report, start
from tests.worlds.views import view_of

Write = Callable[[Journal], object]


def placed(trial: int, epoch: int, **fields: Any) -> Write:
    """A placement after so many epochs."""
    worker = {
        "host": "node1", "pid": 7, "device": "cpu", "num_threads": 1, "hardware": {}, "had_s": 1.0,
    }  # fmt: skip
    return lambda journal: journal.append(TrialPlaced(trial=trial, epoch=epoch, **worker | fields))


def fault(trial: int, kind: str, epoch: int = 0, **fields: Any) -> Write:
    record = {"trial": trial, "kind": kind, "epoch": epoch, "message": "gone"} | fields
    return lambda journal: journal.append(InfrastructureFault(**record))


def epoch(trial: int, number: int) -> Write:
    return lambda journal: report(journal, trial, number, 20.0 - number)


def end(trial: int, state: str = "complete", reason: str | None = None) -> Write:
    return lambda journal: journal.append(TrialEnded(trial=trial, state=state, reason=reason))


@pytest.fixture
def trials(tmp_path: Path) -> Callable[..., list[TrialHistory]]:
    """Return the trials of a journal in which so many were started at once."""

    def make(num_trials: int, *writes: Write) -> list[TrialHistory]:
        with Journal(tmp_path / "journal.jsonl") as journal:
            for trial in range(num_trials):
                start(journal, trial, loss__distillation="none", training__lr=1e-3)
            for write in writes:
                write(journal)
            return trial_histories(read_journal(journal.path))

    return make


def test_a_damaged_checkpoint_is_a_fault_and_no_retry(trials: Callable) -> None:
    (trial,) = trials(
        1,
        placed(0, 0),
        epoch(0, 1),
        fault(0, "worker_lost", 1),
        placed(0, 1),
        fault(0, "checkpoint_damaged", 1),
        epoch(0, 2),
        end(0),
    )
    assert [each.kind for each in trial.faults] == ["worker_lost", "checkpoint_damaged"]
    assert [each.kind for each in trial.retries] == ["worker_lost"]


@pytest.mark.parametrize("trailing", [(), (fault(0, "checkpoint_damaged", 1),)])
def test_the_fault_that_ended_a_failed_trial_is_no_retry(
    trials: Callable, trailing: tuple[Write, ...]
) -> None:
    lost = fault(0, "worker_lost", 1)
    story = (placed(0, 0), epoch(0, 1), lost, placed(0, 1), lost, lost, *trailing)
    (trial,) = trials(1, *story, end(0, "failed", "died too often"))
    assert (len(trial.retries), len(trial.faults)) == (2, 3 + len(trailing))


def test_a_trial_that_failed_of_itself_keeps_its_retries(trials: Callable) -> None:
    again = (fault(0, "hung"), placed(0, 0), end(0, "failed", "an error"))
    assert len(trials(1, *again)[0].retries) == 1


def test_a_failed_trial_that_is_started_again_was_run_again(trials: Callable) -> None:
    def restart(journal: Journal) -> None:
        start(journal, 0, loss__distillation="none", training__lr=1e-3)

    (trial,) = trials(1, fault(0, "hung"), end(0, "failed", "hung"), restart)
    assert (trial.state, len(trial.retries)) == ("running", 1)


def test_the_column_counts_what_was_run_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        start(journal, 0, loss__distillation="none", training__lr=1e-3)
        for write in (fault(0, "node_lost"), placed(0, 0), fault(0, "checkpoint_damaged")):
            write(journal)
    assert trials_table(view_of(read_journal(path))).column("retries").to_pylist() == [1]


def test_faults_are_counted_by_kind_the_most_frequent_first(trials: Callable) -> None:
    lost = [fault(trial, "worker_lost") for trial in (4, 1)]
    histories = trials(5, fault(2, "hung"), *lost)
    counts = [(each.what, each.count, each.trials) for each in fault_tallies(histories)]
    assert counts == [("worker_lost", 2, (1, 4)), ("hung", 1, (2,))]
    assert fault_remarks(histories) == [
        "3 faults: 2 worker_lost (trials 1, 4), 1 hung (trial 2); see veer show"
    ]


def test_a_trial_that_was_struck_twice_is_named_once(trials: Callable) -> None:
    histories = trials(1, fault(0, "hung"), fault(0, "hung"))
    assert fault_remarks(histories) == ["2 faults: 2 hung (trial 0); see veer show"]


def test_many_trials_are_not_all_named(trials: Callable) -> None:
    (remark,) = fault_remarks(trials(20, *(fault(trial, "node_lost") for trial in range(20))))
    assert "20 node_lost (trials 0, 1, 2, 3, 4, 5, 6, 7 and 12 more)" in remark


def test_the_most_frequent_reason_of_failures_stands_first(trials: Callable) -> None:
    histories = trials(
        5,
        end(0, "failed", "no room"),
        end(1, "failed", "CUDA error:\n  an illegal memory access"),
        end(2, "diverged", "loss is nan"),
        end(3, "failed", "CUDA error:\n  an illegal memory access"),
        end(4),
    )
    assert fault_remarks(histories) == [
        "3 trials failed: 2 by 'CUDA error: an illegal memory access' (trials 1, 3); 1 by "
        "'no room' (trial 0)"
    ]
    assert [each.count for each in failure_tallies(histories)] == [2, 1]


def test_a_long_reason_is_cut_in_the_remark(trials: Callable) -> None:
    (remark,) = fault_remarks(trials(1, end(0, "failed", "x" * 300)))
    assert remark == f"1 trial failed: 1 by '{'x' * 119}…' (trial 0)"


def test_without_faults_there_are_no_remarks(trials: Callable) -> None:
    assert fault_remarks(trials(2, end(0), end(1, "diverged", "loss is nan"))) == []


def test_placements_and_faults_are_in_the_order_of_time(trials: Callable) -> None:
    (trial,) = trials(
        1,
        placed(0, 0, num_threads=2),
        epoch(0, 1),
        epoch(0, 2),
        fault(0, "node_lost", 2, message="node1 is gone"),
        placed(0, 2, host="node2", device="NVIDIA H100", pid=9),
        epoch(0, 3),
        fault(0, "out_of_memory", 3, share=0.5, resource="gpu", message="1 GiB short"),
        placed(0, 3),
    )
    assert [(each.what, each.text) for each in incidents(trial)] == [
        ("started", "after epoch 0, on node1, cpu, 2 threads, process 7: epochs 1 to 2 ran there"),
        ("node_lost", "after epoch 2: the node that it ran on died. node1 is gone"),
        (
            "restarted",
            "after epoch 2, on node2, NVIDIA H100, 1 thread, process 9: epoch 3 ran there",
        ),
        (
            "out_of_memory",
            "after epoch 3: its share of the memory was too small; it is run again with more; "
            "0.5 gpu from then on. 1 GiB short",
        ),
        (
            "restarted",
            "after epoch 3, on node1, cpu, 1 thread, process 7: no epoch finished there",
        ),
    ]


def test_every_kind_has_words_and_an_unknown_one_is_left_as_it_is() -> None:
    assert all(fault_in_words(kind) == words for kind, words in FAULT_KINDS.items())
    assert fault_in_words("struck by lightning") == "struck by lightning"


def test_times_are_utc() -> None:
    assert utc(0.0) == "1970-01-01 00:00:00"
    assert utc(1_795_364_685.9) == "2026-11-22 16:24:45"
