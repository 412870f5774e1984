"""Locks of files and folders, and files that are opened for writing but never through a link.

Another user who may write to a folder could make `.lock` a link to a file of the folder's owner,
and opening `.lock` by name would overwrite that file. Atomic writes (`spaces.files.atomic`) need
no such guard: they replace the link itself.
"""

import errno
import fcntl
import os
import platform
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from spaces.files.disk import translate_disk_full
from spaces.files.errors import RunError, VeerError

LOCK_FILE = ".lock"
# `flock` has no timeout, so a waiting process tries again and again.
LOCK_POLL_S = 0.2
# The umask narrows it, as for any new file.
NEW_FILE_MODE = 0o666


class FileLock:
    """The lock of an open file (`flock`), held until `release` or until the object is collected.

    The system frees the lock of a process that dies. Over NFS the lock works between machines,
    since Linux passes it on to the server.

    Args:
        file: Its descriptor, which is closed when the lock is released.

    Attributes:
        file: As given.
    """

    def __init__(self, file: int) -> None:
        self.file = file
        self._close = weakref.finalize(self, os.close, file)

    def try_take(self, *, is_shared: bool = False) -> bool:
        """Take the lock if that needs no waiting; return whether it is taken.

        Args:
            is_shared: Whether others may hold it too, if they share it as well.
        """
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        try:
            # Not `lockf`: its lock is lost when the process closes any descriptor of the file.
            fcntl.flock(self.file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def take(
        self, waiting: Callable[[], object] = lambda: None, *, is_shared: bool = False
    ) -> None:
        """Take the lock, and wait for it if need be.

        Args:
            waiting: Called every `LOCK_POLL_S` while another process has it; may raise an error.
            is_shared: As in `try_take`.
        """
        while not self.try_take(is_shared=is_shared):
            waiting()
            time.sleep(LOCK_POLL_S)

    def release(self) -> None:
        """Release the lock and close the file; a second call does nothing."""
        self._close()


def open_no_follow(path: Path, flags: int) -> int:
    """Open a file, creating it if needed; refuse a symbolic link. Its folder may be a link.

    Args:
        path: The file.
        flags: As for `os.open`, without the flags that create the file.

    Returns:
        The descriptor; the caller must close it.

    Raises:
        RunError: The path is a link.
        DiskFullError: There is no room for it.
    """
    try:
        with translate_disk_full(path):
            return os.open(
                path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, NEW_FILE_MODE
            )
    except OSError as error:
        # ELOOP also reports a circle of links in the folders above, which is another fault.
        if error.errno != errno.ELOOP or not path.is_symlink():
            raise
        raise RunError(
            f"{path}: must be a file, but is a link to {path.readlink()}, and Veer does not "
            "write through links; remove the link, or put the file itself there"
        ) from error


def lock_folder(
    folder: Path, refusal: Callable[[str], VeerError], wait_s: float = 0.0
) -> FileLock:
    """Take the lock of a folder and write the holder's name into it.

    Args:
        folder: Must exist.
        refusal: Returns the error to raise, given the holder: `process 7 on host`.
        wait_s: How long to wait for another process, in seconds.

    Raises:
        VeerError: Another process holds the lock; the error is the one from `refusal`.
        RunError: The lock file is a link.
        DiskFullError: There is no room for the lock file.
    """
    path, until_s = folder / LOCK_FILE, time.monotonic() + wait_s
    lock = FileLock(open_no_follow(path, os.O_RDWR))

    def refuse_when_late() -> None:
        if time.monotonic() >= until_s:
            raise refusal(_holder(lock.file))

    try:
        lock.take(refuse_when_late)
        # Only now: until the lock is taken, the file names another process.
        with translate_disk_full(path):
            os.ftruncate(lock.file, 0)
            os.pwrite(lock.file, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
    except BaseException:
        lock.release()
        raise
    return lock


def is_locked(folder: Path) -> bool:
    """Return whether a process holds the lock of a folder; False if the lock cannot be opened.

    The check takes a shared lock for a moment, during which `lock_folder` elsewhere must wait.
    """
    try:
        # Read-only, so that readers of another user's run need no permission to write.
        file = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    lock = FileLock(file)
    try:
        return not lock.try_take(is_shared=True)
    finally:
        lock.release()


def _holder(file: int) -> str:
    # Limited, since any content may stand in a lock file of another user.
    return os.pread(file, 200, 0).decode(errors="replace").strip() or "an unknown process"
