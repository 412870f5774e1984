"""Optuna's journal in memory: the entries that a study file holds, one per line."""

import json
from datetime import UTC, datetime
from typing import Any

from optuna.storages.journal import BaseJournalBackend

# Replaces the ids of process and thread that Optuna writes: the same journal of Veer must always
# give the same file.
_WORKER_ID = "veer"


class Entries(BaseJournalBackend):
    """Optuna's journal in memory, with the times of Veer's journal.

    Attributes:
        now_s: The time given to the entries that follow, in seconds since 1970.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._num_popped = 0
        self._entries: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """Return the entries from this number on, which must not have been popped."""
        return self._entries[log_number_from - self._num_popped :]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, with the types that they would have after reading a file."""
        # Through JSON, since for example tuples come back from a file as lists.
        for entry in json.loads(json.dumps(logs)):
            # Optuna writes the present time where a trial ends. A trial that is created at its
            # end (such an entry has `params`) has its own time already.
            if "datetime_complete" in entry and "params" not in entry:
                now = datetime.fromtimestamp(self.now_s, tz=UTC)
                entry["datetime_complete"] = now.isoformat(timespec="microseconds")
            self._entries.append(entry)

    def pop(self) -> list[dict[str, Any]]:
        """Return the entries since the last call; the storage must have read them all."""
        popped = [entry | {"worker_id": _WORKER_ID} for entry in self._entries]
        self._num_popped += len(self._entries)
        self._entries.clear()
        return popped
