"""Who uses a store: a shared lock for every process that reads or builds it.

The system lets go of a lock when its process dies, however it dies. Whoever would remove a store
needs the lock for itself alone and does not get it while anyone reads.
"""

import fcntl
import os
import secrets
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

USE_LOCK = "in-use.lock"
BUILD_LOCK = "build.lock"
REMOVED_SUFFIX = ".removed"
_POLL_S = 0.2


class UseLock:
    """A shared hold on a store folder, until `release` or until nothing refers to it any more."""

    def __init__(self, file_descriptor: int) -> None:
        self._close = weakref.finalize(self, os.close, file_descriptor)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        self._close()


def use_store(folder: Path) -> UseLock:
    """Hold a store against removal, making the folder where it is missing.

    The lock file's time of change becomes now: the store's last use.

    Raises:
        OSError: The folder can neither be made nor read.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / USE_LOCK
        with suppress(FileNotFoundError):  # removed between the two lines: make it again
            held = UseLock(descriptor := _open(path))
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if _is_still(path, descriptor):
                with suppress(PermissionError):  # someone else's cache, read only
                    os.utime(path)
                return held
            held.release()


def remove_store(folder: Path) -> bool:
    """Remove a store that nobody uses; tells whether it is gone. Never waits.

    It first gets another name: who comes meanwhile makes a new store.
    """
    try:
        held = UseLock(descriptor := _open(path := folder / USE_LOCK))
    except FileNotFoundError:
        return True
    try:
        if not (_try_exclusive(descriptor) and _is_still(path, descriptor)):
            return False
        doomed = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}{REMOVED_SUFFIX}")
        folder.rename(doomed)
    finally:
        held.release()
    shutil.rmtree(doomed)
    return True


@contextmanager
def sole_builder(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the right to write into a store; one process at a time has it.

    Args:
        folder: The store, held with `use_store`.
        waiting: Called every 0.2 s for as long as another process builds.
    """
    held = UseLock(descriptor := _open(folder / BUILD_LOCK))
    try:
        while not _try_exclusive(descriptor):
            waiting()
            time.sleep(_POLL_S)
        yield
    finally:
        held.release()


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY)


def _try_exclusive(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the locked file still stands under its name: a removed one guards nothing."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev)
