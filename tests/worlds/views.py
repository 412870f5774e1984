"""Views of records that no run folder holds, studies of such records, reads of a journal."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from unittest import mock

import optuna
import pyarrow as pa
from rich.console import Console, RenderableType
from rich.table import Table

from results.analysis.run_view import RunView
from results.journal.run_folder import JOURNAL, RunFolder
from results.records.record import Record
from results.records.search_records import TeacherRecord
from results.tables.schema import TRIAL_COLUMNS, arrow_schema
from results.terminal.listing import trial_listing
from results.terminal.trials import listing_view
from results.trackers.study import StudyLog
from spaces.dimensions import Dimension

TEACHER = TeacherRecord(path="t.model", veer_pct=7.5, num_params=3_871_904, sha256="ab")


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


def text_of(view: RenderableType, width: int = 200) -> str:
    """What the terminal shows, without colours."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def table_of(*rows: dict[str, Any]) -> pa.Table:
    """A table of trials with these values and a parameter."""
    plain = {"epochs": 9, "num_params": 583_712, "state": "complete", "follow_up": None}
    schema = arrow_schema(TRIAL_COLUMNS)
    table = pa.Table.from_pylist([plain | row for row in rows], schema=schema)
    lr = [0.001 * (number + 1) for number in range(len(rows))]
    return table.append_column("param.training.lr", pa.array(lr))


def body_of(text: str) -> list[str]:
    """The rows of the first table."""
    lines = [line.rstrip() for line in text.splitlines()]
    rule = next(number for number, line in enumerate(lines) if "──" in line)
    return lines[rule + 1 : lines.index("", rule)]
