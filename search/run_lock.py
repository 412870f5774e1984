"""One search at a time in a run folder, and its log file."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from results.run_folder import JOURNAL
from spaces.errors import VeerError
from trainable.errors import RunError

LOCK_FILE = ".lock"
LOGGED = ("ray", "search", "trainable", "results")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Holds a run folder; the system lets go of it when the process dies.

    Raises:
        RunError: Another process holds it.
    """
    with (folder / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise RunError(
                f"{folder} is in use by another search (process {holder}); wait for it, stop it, "
                "or choose another run folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def leaving_no_trace(folder: Path, log: Path) -> Iterator[None]:
    """Takes the files of a refused start away again, and the folder if it is then empty.

    To be used while the folder is held.

    Args:
        folder: The run folder. Once it has a journal it stays.
        log: Its log file.
    """
    try:
        yield
    except VeerError:
        if not (folder / JOURNAL).exists():
            for file in (log, folder / LOCK_FILE):
                file.unlink(missing_ok=True)
            with suppress(OSError):  # not empty: it was there before
                folder.rmdir()
        raise


@contextmanager
def logging_to(file: Path) -> Iterator[None]:
    """Sends what Veer and Ray log to a file, and not to the screen."""
    handler = logging.FileHandler(file, encoding="utf-8")
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
