"""Files that are written in place: never through a link, and a folder's lock among them.

Whoever may write to a folder could make `.lock` a link to a file of the person's, which opening it
by name would overwrite. What replaces files as `spaces.files.atomic` does
replaces such a link itself.
"""

import errno
import fcntl
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

from spaces.files.disk import translate_disk_full
from spaces.files.errors import RunError, VeerError

LOCK_FILE = ".lock"
LOCK_POLL_S = 0.2
NEW_FILE_MODE = 0o666


def open_no_follow(path: Path, flags: int) -> int:
    """Opens a file, made if need be, that must be no link itself; its folder may be one.

    Args:
        path: The file.
        flags: As for `os.open`, beside those that make it.

    Returns:
        The descriptor, the caller's to close.

    Raises:
        RunError: It is a link.
        DiskFullError: There is no room for it.
    """
    try:
        with translate_disk_full(path):
            return os.open(
                path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, NEW_FILE_MODE
            )
    except OSError as error:
        if error.errno != errno.ELOOP or not path.is_symlink():
            raise
        raise RunError(
            f"{path}: must be a file, but is a link to {path.readlink()}, which is not written "
            "to; remove the link, or put the file itself there"
        ) from error


def lock_folder(folder: Path, refusal: Callable[[str], VeerError], wait_s: float = 0.0) -> int:
    """Takes a folder's lock (`flock`), which names its holder; the system frees a dead one's.

    Over NFS it holds between machines, as Linux passes it on to the server.

    Args:
        folder: Must exist.
        refusal: What is raised, given the holder: `process 7 on host`.
        wait_s: How long another process is waited for, seconds.

    Returns:
        The lock's descriptor; closing it frees the lock.

    Raises:
        RunError: The lock is a link.
        DiskFullError: There is no room for it.
    """
    path, until_s = folder / LOCK_FILE, time.monotonic() + wait_s
    file = open_no_follow(path, os.O_RDWR)
    try:
        while not _try_hold(file):
            if time.monotonic() >= until_s:
                raise refusal(_holder(file))
            time.sleep(LOCK_POLL_S)
        with translate_disk_full(path):
            os.ftruncate(file, 0)
            os.pwrite(file, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
    except BaseException:
        os.close(file)
        raise
    return file


def is_locked(folder: Path) -> bool:
    """Whether a process holds a folder's lock; where it cannot be looked at, none is known to.

    It is looked at by sharing it for a moment, in which whoever wants it must wait.
    """
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _try_hold(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: int) -> str:
    return os.pread(file, 200, 0).decode(errors="replace").strip() or "it did not say which"
