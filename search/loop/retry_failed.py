"""Restart of failed trials, once the cause of their failure is fixed."""

from collections.abc import Sequence
from typing import TypeGuard

from results.journal.history import trial_histories
from results.journal.journal import Journal
from results.records.record import Record
from results.records.trial_records import InfrastructureFault, TrialEnded, TrialStarted
from search.loop.fault_ledger import NOT_COUNTED


def num_failed(records: Sequence[Record]) -> int:
    """Return how many trials have failed and were not restarted since."""
    return sum(trial.state == "failed" for trial in trial_histories(records))


def restart_failed(records: Sequence[Record], journal: Journal) -> tuple[Record, ...]:
    """Record that all failed trials are started again, with the same config and seed.

    Args:
        records: The journal's records so far.
        journal: The journal, to write to.

    Returns:
        All records of the journal, with the new ones.
    """
    restarted = [
        journal.append(_started_again(trial.started))
        for trial in trial_histories(records)
        if trial.state == "failed"
    ]
    return (*records, *restarted)


def without_lapsed(records: Sequence[Record]) -> list[Record]:
    """Return the records without those that a restart of their trial made invalid.

    These are the trial's end, and the faults that led to it. Its epochs are kept: the same config
    and seed give the same results.
    """
    # The last start wins: `veer resume --retry-failed` may have been used several times.
    last_start = {
        record.trial: position
        for position, record in enumerate(records)
        if isinstance(record, TrialStarted)
    }
    return [
        record
        for position, record in enumerate(records)
        if not (_lapses_on_restart(record) and position < last_start.get(record.trial, -1))
    ]


def _started_again(record: TrialStarted) -> TrialStarted:
    """Return the record of the same start, now."""
    return TrialStarted(**record.model_dump(exclude_unset=True, exclude={"event", "time_s"}))


def _lapses_on_restart(record: Record) -> TypeGuard[InfrastructureFault | TrialEnded]:
    if isinstance(record, InfrastructureFault):
        # A share that was raised after running out of memory is still needed.
        return record.kind not in NOT_COUNTED
    return isinstance(record, TrialEnded)
