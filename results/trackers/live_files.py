"""Files that grow with a journal: the Optuna study and TensorBoard's event files.

They hold the content of the journal in formats that other programs show. So an error in writing
them never stops the search: it is logged and printed once, the content waits for the next record,
and all files are written again at the end of the search.
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from results.journal.goals import goals_of
from results.journal.run_folder import RunFolder
from results.journal.turns import latest_settings
from results.records.record import Record
from results.trackers.study import StudyLog
from results.trackers.tensorboard import EventLog, write_event_files
from spaces.dimensions import Dimension
from spaces.files.atomic import write_bytes_atomically
from spaces.files.locks import open_no_follow

logger = logging.getLogger(__name__)


class LiveFiles:
    """The study and the event files of a run, updated with each record of its journal.

    Both are first replaced by files made from the journal so far.

    Args:
        run: The run folder.
        dimensions: The dimensions of the run's space.
        print_line: Prints one line to the user.
    """

    def __init__(
        self, run: RunFolder, dimensions: Sequence[Dimension], print_line: Callable[[str], None]
    ) -> None:
        self._print_line = print_line
        self._has_warned = self._has_begun = False
        self._waiting: dict[Path, bytes] = {}
        self._study_file = run.study
        records = run.read()
        goals = goals_of(latest_settings(records))
        self._study = StudyLog(dimensions, run.path.resolve().name, goals)
        self._events_folder = run.tensorboard
        self._events = EventLog(dimensions)
        self._catch_errors(self._begin, records)

    def take(self, record: Record) -> None:
        """Write the content of a record that the journal already has; never raises."""
        # Without a first version there is nothing to append to.
        if self._has_begun:
            self._catch_errors(self._take, (record,))

    def _begin(self, records: Iterable[Record]) -> None:
        parts = {name: [content] for name, content in self._events.first()}
        for record in records:
            self._study.take(record)
            for name, more in self._events.take(record):
                parts.setdefault(name, []).append(more)
        write_bytes_atomically(self._study_file, self._study.new_lines())
        content = {name: b"".join(each) for name, each in parts.items()}
        write_event_files(self._events_folder, content)
        self._has_begun = True

    def _take(self, records: Iterable[Record]) -> None:
        for record in records:
            self._study.take(record)
            self._queue(self._study_file, self._study.new_lines())
            for name, more in self._events.take(record):
                self._queue(self._events_folder / name, more)
        for path, content in tuple(self._waiting.items()):
            append(path, content)
            del self._waiting[path]  # only after `append`: what it could not write waits

    def _queue(self, path: Path, content: bytes) -> None:
        if content:
            self._waiting[path] = self._waiting.get(path, b"") + content

    def _catch_errors(
        self, write: Callable[[Iterable[Record]], None], records: Iterable[Record]
    ) -> None:
        try:
            write(records)
        # Any error: a search of days must not stop because of files that can be written again.
        except Exception as error:
            if not self._has_warned:
                self._has_warned = True
                logger.exception("the study and TensorBoard files are not up to date")
                self._print_line(
                    f"the study and TensorBoard files are not up to date for now: {error}; they "
                    "are written again at the end of the search"
                )


def append(path: Path, content: bytes) -> None:
    """Append to a file: all of the content or, on an error, nothing. Does not call fsync.

    Raises:
        OSError: The file cannot be written.
        RunError: The path is a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open_no_follow(path, os.O_WRONLY | os.O_APPEND)
    try:
        size_bytes = os.fstat(file).st_size
        try:
            written = 0
            while written < len(content):
                written += os.write(file, content[written:])
        except OSError:
            # A part of an entry would make the file unreadable.
            with suppress(OSError):
                os.ftruncate(file, size_bytes)
            raise
    finally:
        os.close(file)
