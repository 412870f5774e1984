"""A journal that keeps no file: for simulated searches."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from results.journal.journal import Journal
from results.records.record import Record

R = TypeVar("R", bound=Record)


class JournalInMemory(Journal):
    """Keeps its records in memory, in the order in which they were appended.

    Attributes:
        records: All records.
    """

    def __init__(self) -> None:
        # Not the base's, which opens a file.
        self.path = Path()
        self.records: list[Record] = []
        self._followers: list[Callable[[Record], None]] = []

    def append(self, record: R) -> R:
        """Keep one record and return it."""
        self.records.append(record)
        for follower in self._followers:
            follower(record)
        return record

    def close(self) -> None:
        """Do nothing: there is no file."""
