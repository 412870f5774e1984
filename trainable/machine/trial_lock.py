"""A trial's folder belongs to one process.

A driver that was killed may leave a worker behind, on this or another node, that still trains a
trial which a resumed search hands out again; both would write the same checkpoints.
"""

import os
from pathlib import Path

from spaces.files.errors import BusyError
from spaces.files.locks import lock_folder

WAIT_S = 60.0


class TrialLock:
    """An exclusive lock on a folder; one that its process loses by dying is free."""

    def __init__(self) -> None:
        self._held: int | None = None

    def acquire(self, folder: Path, wait_s: float = WAIT_S) -> None:
        """Take the lock of a folder, or wait for it; having it already is harmless.

        Args:
            folder: The trial's; must exist.
            wait_s: How long another process is waited for, seconds.

        Raises:
            BusyError: Another process still has it; names that process.
            RunError: The lock is a link to another file.
            DiskFullError: There is no room for it.
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
        """Give the lock back; without one, nothing."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
