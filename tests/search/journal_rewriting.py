"""A run's journal rewritten with other records, valid as if the search had written them."""

from collections.abc import Sequence

from results.journal.journal import Journal, Record
from results.journal.run_folder import RunFolder


def rewrite_journal(run: RunFolder, records: Sequence[Record]) -> None:
    """Replace a run's journal by one with these records."""
    run.journal.unlink()
    with Journal(run.journal) as journal:
        for record in records:
            fields = {name: each for name, each in record.items() if name != "event"}
            journal.append(record["event"], **fields)
