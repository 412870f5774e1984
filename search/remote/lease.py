"""The note of the process that leads a search, kept beside the run in object storage.

A lock of the file system reaches no other machine. The process renews the note; another one on
another machine is refused as long as the note is fresh. Two that start in the same second may both
pass: the parts of the journal then stop one of them (`results.journal.parts`).
"""

import json
import os
import platform
import time

from spaces.files.errors import RunError
from trainable.storage.remote import RemoteFolder

LEASE_FILE = "driver.json"
RENEWED_EVERY_S = 30.0
# A process whose note is older has died, or cannot reach the store.
FRESH_S = 120.0


class Lease:
    """The right to lead the search of one run; for one thread at a time.

    Args:
        remote: The folder of the run.
    """

    def __init__(self, remote: RemoteFolder) -> None:
        self._remote = remote
        self._renewed_s = 0.0

    def take(self) -> None:
        """Write the note.

        Raises:
            RunError: A process on another machine leads the search.
            StorageError: A request failed.
        """
        # On this machine the lock of the working copy has kept others away already.
        if LEASE_FILE in self._remote.files() and (holder := self._holder()) is not None:
            raise RunError(
                f"{self._remote.uri} is in use by another search ({holder}); wait for it, or stop "
                f"it; one that was killed counts as stopped {FRESH_S:g} s later"
            )
        self.renew()

    def renew(self) -> None:
        """Write the note anew."""
        note = {"host": platform.node(), "pid": os.getpid(), "time_s": time.time()}
        self._remote.write(json.dumps(note).encode(), LEASE_FILE)
        self._renewed_s = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the note is to be renewed."""
        return time.monotonic() - self._renewed_s >= RENEWED_EVERY_S

    def release(self) -> None:
        """Delete the note."""
        self._remote.delete(LEASE_FILE)

    def _holder(self) -> str | None:
        """Return the process of a fresh note of another machine."""
        try:
            note = json.loads(self._remote.read(LEASE_FILE))
            host, pid, age_s = str(note["host"]), int(note["pid"]), time.time() - note["time_s"]
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            return None
        if host == platform.node() or age_s >= FRESH_S:
            return None
        return f"process {pid} on {host}, {age_s:.0f} s ago"
