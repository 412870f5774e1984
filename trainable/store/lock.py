"""Locks of a store: a shared one for every process that uses it, an exclusive one to build it.

Where nothing can be written, as on a disk that is mounted read-only, a store is used without them:
no process there can build or remove it.

The system frees a lock when its process ends, however it ends. To remove a store, a process needs
the use lock exclusively, and does not get it while another process reads.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spaces.files.locks import FileLock

USE_LOCK = "in-use.lock"
BUILD_LOCK = "build.lock"
REMOVED_SUFFIX = ".removed"
# What the system answers where this process may not write.
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def use_store(folder: Path) -> FileLock:
    """Lock a store against removal, and create its folder if it is missing.

    The modification time of the lock file is set to now: it records when the store was last used.

    Raises:
        OSError: The folder can be neither created nor read.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / USE_LOCK
        with suppress(FileNotFoundError):  # removed after `mkdir`: create it again
            try:
                held = FileLock(_open(path))
            except OSError as error:
                if error.errno not in _DENIED:
                    raise
                return FileLock(os.open(folder, os.O_RDONLY))
            held.take(is_shared=True)
            # Another process may have removed the store before this one had the lock.
            if _has_file(path, held.file):
                with _suppressed_if_denied():
                    os.utime(path)
                return held
            held.release()


def remove_store(folder: Path) -> bool:
    """Remove a store unless a process uses it; never waits.

    Returns:
        Whether the store is gone.
    """
    try:
        held = FileLock(_open(path := folder / USE_LOCK))
    except FileNotFoundError:
        return True
    try:
        if not (held.try_take() and _has_file(path, held.file)):
            return False
        # Renamed first, since removal takes time: a process that opens the store in the meantime
        # creates a new one, and never sees half of the old one.
        doomed = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}{REMOVED_SUFFIX}")
        folder.rename(doomed)
    finally:
        held.release()
    shutil.rmtree(doomed)
    return True


@contextmanager
def sole_builder(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the exclusive build lock of a store, and wait for it if need be.

    Args:
        folder: The store, locked with `use_store`.
        waiting: Called every 0.2 s while another process builds.
    """
    held = None
    with _suppressed_if_denied():
        held = FileLock(_open(folder / BUILD_LOCK))
    try:
        if held is not None:
            held.take(waiting)
        yield
    finally:
        if held is not None:
            held.release()


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno not in _DENIED:
            raise
        try:
            # `flock` takes a lock on a file that is open for reading too.
            return os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise error from None


@contextmanager
def _suppressed_if_denied() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _DENIED:
            raise


def _has_file(path: Path, descriptor: int) -> bool:
    """Return whether the path still leads to the locked file, which may have been removed."""
    try:
        current = path.stat()
    except FileNotFoundError:
        return False
    locked = os.fstat(descriptor)
    return (locked.st_ino, locked.st_dev) == (current.st_ino, current.st_dev)
