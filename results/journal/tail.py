"""Incremental reading of a journal that grows."""

import os
from pathlib import Path

from results.journal.hash_chain import START
from results.journal.journal import read_line
from results.journal.record_order import RecordOrder
from results.records.record import Record
from spaces.files.errors import RunError


class JournalTail:
    """Reader of the lines that a journal has gained, checked as `read_journal` checks them.

    A last line without its end is left for the next reading: it is being written, or a crash left
    it incomplete and the next writer will remove it.

    Args:
        path: The journal.

    Attributes:
        records: All records read so far, oldest first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[Record] = []
        self._file: tuple[int, int] | None = None  # device and inode
        self._offset = 0
        self._number = 0  # of the last line read, from 1
        self._check = START  # of the last line that is not blank
        self._order = RecordOrder()

    def read(self) -> int:
        """Add the new records to `records`, and return their number.

        Raises:
            RunError: The file is gone, was replaced, or has lost lines that were read before; or
                a new line is damaged.
        """
        lines = self._new_lines()
        before = len(self.records)
        for line in lines:
            if line.strip():
                self._take(line)
            # After `_take`, so that a damaged line is rejected again at the next reading.
            self._number += 1
            self._offset += len(line) + 1
        return len(self.records) - before

    def _new_lines(self) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                # Of the open file, since another one may take the path between two calls.
                status = os.fstat(file.fileno())
                self._require_same(status)
                if status.st_size == self._offset:
                    return []
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError as error:
            raise RunError(f"{self.path}: no journal here") from error
        except OSError as error:
            raise RunError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        whole = new[: new.rfind(b"\n") + 1]
        return whole.split(b"\n")[:-1]

    def _require_same(self, status: os.stat_result) -> None:
        file = (status.st_dev, status.st_ino)
        if self._file not in (None, file) or status.st_size < self._offset:
            raise RunError(
                f"{self.path} was replaced by another journal while it was read; start again"
            )
        self._file = file

    def _take(self, line: bytes) -> None:
        place = f"{self.path}:{self._number + 1}"
        record, self._check = read_line(line, self._check, self._order, place)
        self.records.append(record)
