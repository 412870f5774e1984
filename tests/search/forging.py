"""A journal written anew with other records, as its own writer would."""

from collections.abc import Sequence

from results.journal.journal import Journal, Record
from results.journal.run_folder import RunFolder


def rewrite(run: RunFolder, records: Sequence[Record]) -> None:
    """Replaces a run's journal."""
    run.journal.unlink()
    with Journal(run.journal) as journal:
        for record in records:
            fields = {name: each for name, each in record.items() if name != "event"}
            journal.append(record["event"], **fields)
