"""The lock and the log file of a run folder."""

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
    """Lock a run folder inside the block; the system releases the lock if the process dies.

    Raises:
        RunError: Another process holds it, or the lock is a link to another file.
        DiskFullError: There is no space for the lock.
    """
    held = lock_folder(
        folder,
        lambda holder: RunError(
            f"{folder} is in use by another search ({holder}); wait for it, stop it, or choose "
            "another run folder"
        ),
        LOCK_POLL_S / 2,  # retried, since `is_locked` may hold it for a moment
    )
    try:
        yield
    finally:
        held.release()


@contextmanager
def leaving_no_trace(folder: Path, log: Path) -> Iterator[None]:
    """Remove the files of a start that is refused or interrupted, and the folder if empty then.

    To be used while the folder is locked.

    Args:
        folder: The run folder; kept once its journal has a record.
        log: The run's log file.
    """
    try:
        yield
    except (VeerError, KeyboardInterrupt):
        journal = folder / JOURNAL
        # An empty journal: a full disk refused its first record.
        if not journal.exists() or journal.stat().st_size == 0:
            for file in (log, folder / LOCK_FILE, journal):
                file.unlink(missing_ok=True)
            with suppress(OSError):  # not empty: it was there before
                folder.rmdir()
        raise


class RunLog(logging.FileHandler):
    """A log file on a disk that may become full: lines are then missing, and nothing fails.

    Args:
        file: The log.
        print_line: Prints one line; called once if lines are missing from the log.

    Raises:
        RunError: The log is a link to another file.
        DiskFullError: There is no space to create it.
    """

    def __init__(self, file: Path, print_line: Callable[[str], None]) -> None:
        with translate_disk_full(file):
            super().__init__(file, encoding="utf-8")
        self._print_line = print_line
        self._is_reported = False

    def _open(self) -> TextIOWrapper:
        # Without following links: in a shared folder another user could redirect the log.
        file = open_no_follow(Path(self.baseFilename), os.O_WRONLY | os.O_APPEND)
        return open(file, "a", encoding=self.encoding)  # noqa: PTH123 - a descriptor, no path

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Report a full disk to the user; handle any other error as logging does."""
        if is_disk_full(error := sys.exception()):
            self._report(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file; on a full disk the last lines may be lost."""
        try:
            super().close()
        except OSError as error:
            if not is_disk_full(error):
                raise
            self._report(error)

    def _report(self, error: BaseException | None) -> None:
        if not self._is_reported:
            # Once: on a full disk every further line of the log would fail too.
            self._is_reported = True
            self._print_line(f"{self.baseFilename}: lines are missing from the log: {error}")


@contextmanager
def logging_to(file: Path, print_line: Callable[[str], None]) -> Iterator[None]:
    """Write the log messages of Veer and Ray to a file, and not to the screen.

    Args:
        file: The log.
        print_line: Prints one line; called if a full disk makes lines go missing.

    Raises:
        DiskFullError: There is no space to create the file.
    """
    handler = RunLog(file, print_line)
    handler.setFormatter(logging.Formatter(FORMAT))
    before = {}
    for name in LOGGED:
        logger = logging.getLogger(name)
        before[name] = (logger.level, logger.propagate)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        # Otherwise the root logger would print the same lines on the screen.
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
