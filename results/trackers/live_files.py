"""Files that grow beside a journal: the Optuna study and TensorBoard's.

They hold what the journal holds in forms that other programs show, so a fault of theirs ends
nothing: it is logged and told once, what was to be written waits for the next record, and all of
it is written anew at the search's end.
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from results.journal.journal import Record
from results.journal.run_folder import RunFolder
from results.trackers.study import StudyLog
from results.trackers.tensorboard import EventLog, write_event_files
from spaces.dimensions import Dimension
from spaces.files.atomic import write_bytes_atomically
from spaces.files.locks import open_in_place

logger = logging.getLogger(__name__)


class LiveFiles:
    """Keeps a run's study and event files in step with its journal, a record at a time.

    Begins with both as the journal so far has them, whatever lay there.

    Args:
        run: The run.
        dimensions: Its space's.
        say: Prints a line.
    """

    def __init__(
        self, run: RunFolder, dimensions: Sequence[Dimension], say: Callable[[str], None]
    ) -> None:
        self._say = say
        self._is_said = self._is_begun = False
        self._waiting: dict[Path, bytes] = {}
        self._study_file = run.study
        self._study = StudyLog(dimensions, run.path.resolve().name)
        self._events_folder = run.tensorboard
        self._events = EventLog(dimensions)
        self._guarded(self._begin, run.read())

    def take(self, record: Record) -> None:
        """Writes what a record says, which the journal has; raises nothing."""
        if self._is_begun:
            self._guarded(self._take, (record,))

    def _begin(self, records: Iterable[Record]) -> None:
        parts = {name: [content] for name, content in self._events.first()}
        for record in records:
            self._study.take(record)
            for name, more in self._events.take(record):
                parts.setdefault(name, []).append(more)
        write_bytes_atomically(self._study_file, self._study.new_lines())
        content = {name: b"".join(each) for name, each in parts.items()}
        write_event_files(self._events_folder, content)
        self._is_begun = True

    def _take(self, records: Iterable[Record]) -> None:
        for record in records:
            self._study.take(record)
            self._wait(self._study_file, self._study.new_lines())
            for name, more in self._events.take(record):
                self._wait(self._events_folder / name, more)
        for path, content in tuple(self._waiting.items()):
            append(path, content)
            del self._waiting[path]

    def _wait(self, path: Path, content: bytes) -> None:
        if content:
            self._waiting[path] = self._waiting.get(path, b"") + content

    def _guarded(
        self, write: Callable[[Iterable[Record]], None], records: Iterable[Record]
    ) -> None:
        try:
            write(records)
        except Exception as error:
            if not self._is_said:
                self._is_said = True
                logger.exception("study and TensorBoard files do not follow the search")
                self._say(
                    f"study and TensorBoard files do not follow the search for now: {error}; they "
                    "are written anew at its end"
                )


def append(path: Path, content: bytes) -> None:
    """Adds to a file, whole or, where that fails, not at all; not forced to the disk.

    Raises:
        OSError: It cannot be written.
        RunError: It is a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open_in_place(path, os.O_WRONLY | os.O_APPEND)
    try:
        size_bytes = os.fstat(file).st_size
        try:
            written = 0
            while written < len(content):
                written += os.write(file, content[written:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, size_bytes)
            raise
    finally:
        os.close(file)
