"""Optuna's journal in memory: what a study's file holds, an entry a line."""

import json
from datetime import UTC, datetime
from typing import Any

from optuna.storages.journal import BaseJournalBackend

# In place of the process and thread that Optuna names: the same journal gives the same file.
WORKER = "veer"


class Entries(BaseJournalBackend):
    """Optuna's journal in memory, with the times of Veer's.

    Attributes:
        now_s: When what follows happened, seconds since 1970.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._num_popped = 0
        self._entries: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """The entries from this one on, which must not have been popped."""
        return self._entries[log_number_from - self._num_popped :]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Take entries, in the types that a file gives back."""
        for entry in json.loads(json.dumps(logs)):
            if "datetime_complete" in entry and "params" not in entry:
                now = datetime.fromtimestamp(self.now_s, tz=UTC)
                entry["datetime_complete"] = now.isoformat(timespec="microseconds")
            self._entries.append(entry)

    def pop(self) -> list[dict[str, Any]]:
        """The entries that no call has had before; the storage has read them all."""
        popped = [entry | {"worker_id": WORKER} for entry in self._entries]
        self._num_popped += len(self._entries)
        self._entries.clear()
        return popped
