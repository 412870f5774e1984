"""Views of records that no run folder holds, and studies of such records."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pyarrow as pa
from rich.table import Table

from results.analysis.run_view import RunView
from results.journal.journal import Record
from results.journal.run_folder import RunFolder
from results.terminal.listing import trial_listing
from results.terminal.trials import listing_view
from results.trackers.study import StudyLog
from spaces.dimensions import Dimension


class NoFolder(RunFolder):
    """The folder of a run that was never written."""

    def __init__(self) -> None:
        self.path = Path("/no/such/run")


def view_of(records: Iterable[Record]) -> RunView:
    """A view of these records, without a folder and so without scores and space."""
    return RunView(NoFolder(), records)


def listed(table: pa.Table, teacher: Record | None = None, **shown: Any) -> Table:
    """Rows of a trials table as the terminal shows them, without remarks and curves of a run."""
    listing = trial_listing(table, teacher, shown.pop("remarks", ()))
    return listing_view(listing, **shown)


def rebuild_study(
    records: Iterable[Record], dimensions: Sequence[Dimension], run: str = ""
) -> optuna.Study:
    """The study of these records in memory."""
    log = StudyLog(dimensions, run)
    for record in records:
        log.take(record)
    return log.study
