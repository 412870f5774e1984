"""Views of records that no run folder holds, studies of such records, reads of a journal."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from unittest import mock

import optuna
import pyarrow as pa
from rich.table import Table

from results.analysis.run_view import RunView
from results.journal.run_folder import JOURNAL, RunFolder
from results.records.record import Record
from results.records.search_records import TeacherRecord
from results.terminal.listing import trial_listing
from results.terminal.trials import listing_view
from results.trackers.study import StudyLog
from spaces.dimensions import Dimension


@contextmanager
def counted_reads(run: Path) -> Iterator[list[Path]]:
    """The journal of a run once for each time that it is opened for reading in the block."""
    found: list[Path] = []
    real = Path.open

    def counting(path: Path, mode: str = "r", *options: Any, **more: Any) -> IO[Any]:
        if path.absolute() == (run / JOURNAL).absolute() and mode in ("r", "rb"):
            found.append(path)
        return real(path, mode, *options, **more)

    with mock.patch.object(Path, "open", counting):
        yield found


class NoFolder(RunFolder):
    """The folder of a run that was never written."""

    def __init__(self) -> None:
        self.path = Path("/no/such/run")


def view_of(records: Iterable[Record]) -> RunView:
    """A view of these records, without a folder and so without scores and space."""
    return RunView(NoFolder(), records)


def listed(table: pa.Table, teacher: TeacherRecord | None = None, **shown: Any) -> Table:
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
