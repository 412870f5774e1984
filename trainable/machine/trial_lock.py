"""Locks that let only one process, or group of processes, train a trial or in a run folder.

A driver that was killed may leave a worker behind, on this or another node, which still trains a
trial that the resumed search starts again: both would write the same checkpoints.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spaces.files.errors import BusyError
from spaces.files.locks import LOCK_FILE, FileLock, lock_folder

WAIT_S = 60.0


class TrialLock:
    """An exclusive lock on a folder. The system frees it when its process ends."""

    def __init__(self) -> None:
        self._held: FileLock | None = None

    def acquire(self, folder: Path, wait_s: float = WAIT_S) -> None:
        """Take the lock of a folder, and wait for it if need be; a second call does nothing.

        Args:
            folder: Folder of the trial; must exist.
            wait_s: How long to wait for another process, seconds.

        Raises:
            BusyError: Another process still has the lock; names that process.
            RunError: The lock file is a link to another file.
            DiskFullError: The disk is full.
        """
        if self._held is None:
            self._held = lock_folder(
                folder,
                lambda holder: BusyError(
                    f"{folder}: another process trains this trial ({holder}), left over from an "
                    "earlier search; end it, and the trial goes on from its last checkpoint"
                ),
                wait_s,
            )

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._held is not None:
            self._held.release()
            self._held = None


@contextmanager
def training_lock(folder: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock of a training's run folder, which is made if need be.

    A folder that was made for a training that wrote nothing is removed again.

    Args:
        folder: The folder.
        wait: Whether to wait up to `WAIT_S` for another process: of several processes that are
            started again, an earlier one may not have ended yet.

    Raises:
        BusyError: Another training runs in the folder.
        RunError: The lock file is a link to another file.
        DiskFullError: The disk is full.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(
        folder,
        lambda holder: BusyError(
            f"{folder}: another training runs in this folder ({holder}); wait for its end, end "
            "it, or choose another folder with --out"
        ),
        WAIT_S if wait else 0.0,
    )
    try:
        yield
    finally:
        if is_new and [each.name for each in folder.glob("*")] == [LOCK_FILE]:
            (folder / LOCK_FILE).unlink()
            folder.rmdir()
        lock.release()
