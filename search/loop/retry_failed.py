"""Failed trials run again, once what they failed of is mended."""

from collections.abc import Sequence

from results.journal.history import trial_histories
from results.journal.journal import FIELDS, Journal, Record
from results.journal.records import FOLLOW_UP
from search.loop.fault_ledger import NOT_COUNTED


def num_failed(records: Sequence[Record]) -> int:
    """How many trials have failed, and were not begun again since."""
    return sum(trial.state == "failed" for trial in trial_histories(records))


def restart_failed(records: Sequence[Record], journal: Journal) -> tuple[Record, ...]:
    """Journals the failed trials as begun again: same config, same seed.

    Args:
        records: The journal so far.
        journal: The same, to be written to.

    Returns:
        All of the journal's records.
    """
    begun = [
        journal.append("trial_started", **_as_begun(trial.started))
        for trial in trial_histories(records)
        if trial.state == "failed"
    ]
    return (*records, *begun)


def without_lapsed(records: Sequence[Record]) -> list[Record]:
    """The records without what no longer holds of trials that were begun again after their end.

    That is the end itself, and the faults that it came of. Their epochs stand: the same config and
    seed give the same.
    """
    begun = {
        record["trial"]: place
        for place, record in enumerate(records)
        if record["event"] == "trial_started"
    }
    return [
        record
        for place, record in enumerate(records)
        if not (_may_lapse(record) and place < begun.get(record["trial"], -1))
    ]


def _as_begun(record: Record) -> Record:
    """The fields of a `trial_started` record, those of a follow-up too."""
    fields = FIELDS["trial_started"] | FOLLOW_UP
    return {key: record[key] for key in sorted(fields & record.keys())}


def _may_lapse(record: Record) -> bool:
    if record["event"] == "infrastructure":
        return record["kind"] not in NOT_COUNTED
    return bool(record["event"] == "trial_ended")
