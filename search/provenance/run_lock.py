"""One search at a time in a run folder, and its log file."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from results.journal.run_folder import JOURNAL
from spaces.files.disk import is_disk_full, translate_disk_full
from spaces.files.errors import RunError, VeerError
from spaces.files.locks import LOCK_FILE, LOCK_POLL_S, lock_folder, open_no_follow

LOGGED = ("ray", "search", "trainable", "results")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Holds a run folder; the system lets go of it when the process dies.

    Raises:
        RunError: Another process holds it, or the lock is a link to another file.
        DiskFullError: There is no room for the lock.
    """
    held = lock_folder(
        folder,
        lambda holder: RunError(
            f"{folder} is in use by another search ({holder}); wait for it, stop it, or choose "
            "another run folder"
        ),
        LOCK_POLL_S / 2,  # `is_locked` may have it for a moment
    )
    try:
        yield
    finally:
        os.close(held)


@contextmanager
def leaving_no_trace(folder: Path, log: Path) -> Iterator[None]:
    """Takes the files of a refused start away again, and the folder if it is then empty.

    To be used while the folder is held.

    Args:
        folder: The run folder. Once its journal has a record it stays.
        log: Its log file.
    """
    try:
        yield
    except VeerError:
        journal = folder / JOURNAL
        if not journal.exists() or journal.stat().st_size == 0:  # a full disk took not a record
            for file in (log, folder / LOCK_FILE, journal):
                file.unlink(missing_ok=True)
            with suppress(OSError):  # not empty: it was there before
                folder.rmdir()
        raise


class RunLog(logging.FileHandler):
    """A log file that a full disk keeps from nothing but growing.

    Args:
        file: The log.
        say: Told once that lines are missing from it.

    Raises:
        RunError: It is a link to another file.
        DiskFullError: There is no room to make it.
    """

    def __init__(self, file: Path, say: Callable[[str], None]) -> None:
        with translate_disk_full(file):
            super().__init__(file, encoding="utf-8")
        self._say = say
        self._is_told = False

    def _open(self) -> TextIOWrapper:
        file = open_no_follow(Path(self.baseFilename), os.O_WRONLY | os.O_APPEND)
        return open(file, "a", encoding=self.encoding)  # noqa: PTH123 - a descriptor, no path

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Tells the person of a full disk; whatever else it is, as logging does."""
        if is_disk_full(error := sys.exception()):
            self._tell(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        """Closes the file; what was still to be written may be lost with a full disk."""
        try:
            super().close()
        except OSError as error:
            if not is_disk_full(error):
                raise
            self._tell(error)

    def _tell(self, error: BaseException | None) -> None:
        if not self._is_told:
            self._is_told = True
            self._say(f"{self.baseFilename}: lines are missing from the log: {error}")


@contextmanager
def logging_to(file: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Sends what Veer and Ray log to a file, and not to the screen.

    Args:
        file: The log.
        say: Told where a full disk keeps lines from it.

    Raises:
        DiskFullError: There is no room to make the file.
    """
    handler = RunLog(file, say)
    handler.setFormatter(logging.Formatter(FORMAT))
    before = {}
    for name in LOGGED:
        logger = logging.getLogger(name)
        before[name] = (logger.level, logger.propagate)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for name, (level, propagate) in before.items():
            logger = logging.getLogger(name)
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
        handler.close()
