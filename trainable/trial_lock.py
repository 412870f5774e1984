"""A trial's folder belongs to one process.

A driver that was killed may leave a worker behind, on this or another node, that still trains a
trial which a resumed search hands out again; both would write the same checkpoints.
"""

import fcntl
import os
import platform
import time
from pathlib import Path

from trainable.errors import BusyError

LOCK = ".lock"
WAIT_S = 60.0
POLL_S = 0.2


class TrialLock:
    """An exclusive lock (`flock`) on a folder; one that its process loses by dying is free.

    Over NFS it holds between machines, as Linux passes it on to the server.
    """

    def __init__(self) -> None:
        self._held: int | None = None

    def acquire(self, folder: Path, wait_s: float = WAIT_S) -> None:
        """Take the lock of a folder, or wait for it; having it already is harmless.

        Args:
            folder: The trial's; must exist.
            wait_s: How long another process is waited for, seconds.

        Raises:
            BusyError: Another process still has it; names that process.
        """
        if self._held is not None:
            return
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._wait_for(file, folder, time.monotonic() + wait_s)
            os.ftruncate(file, 0)
            os.pwrite(file, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
        except BaseException:
            os.close(file)
            raise
        self._held = file

    def release(self) -> None:
        """Give the lock back; without one, nothing."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _wait_for(self, file: int, folder: Path, until_s: float) -> None:
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until_s:
                    raise BusyError(
                        f"{folder}: another process trains this trial ({_holder(file)}), left "
                        "over from an earlier search; end it, and the trial goes on from its "
                        "last checkpoint"
                    ) from None
            time.sleep(POLL_S)


def _holder(file: int) -> str:
    return os.pread(file, 200, 0).decode(errors="replace").strip() or "it did not say which"
