"""A run's journal rewritten with other records, valid as if the search had written them."""

from collections.abc import Mapping, Sequence
from typing import Any

from results.journal.run_folder import RunFolder
from results.records.record import Record
from tests.worlds.journals import write_journal


def editable_records(run: RunFolder) -> list[dict[str, Any]]:
    """Return the records of a run as dicts that can be changed."""
    return [record.as_dict() for record in run.read()]


def rewrite_journal(run: RunFolder, records: Sequence[Mapping[str, Any] | Record]) -> None:
    """Replace a run's journal by one with these records."""
    write_journal(run.journal, records)
