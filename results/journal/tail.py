"""A journal that grows, read from where the last reading ended."""

import os
from pathlib import Path

from results.journal.hash_chain import split_check
from results.journal.journal import Record, first_check, record_of
from results.journal.records import RecordOrder
from spaces.files.errors import RunError


class JournalTail:
    """Reads what a journal has grown by; each line is checked as `read_journal` checks it.

    A last line without its end is left for the next reading: it is being written, or was torn by a
    crash and will be cut off.

    Args:
        path: The journal.

    Attributes:
        records: All that were read, oldest first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[Record] = []
        self._file: tuple[int, int] | None = None  # device and inode
        self._offset = 0
        self._number = 0  # of the last line that was taken
        self._check: bytes | None = None  # of the last line that is not blank
        self._has_check = False
        self._order = RecordOrder()

    def read(self) -> int:
        """Takes what is new into `records`, and returns how many records that are.

        Raises:
            RunError: The file is gone, is another one than before, or has lost lines that were
                read; or what is new is damaged.
        """
        lines = self._new_lines()
        before = len(self.records)
        for line in lines:
            if line.strip():
                self._take(line)
            # Only now: a damaged line is refused again at the next reading.
            self._number += 1
            self._offset += len(line) + 1
        return len(self.records) - before

    def _new_lines(self) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
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
                f"{self.path} was replaced by another journal while it was read; begin again"
            )
        self._file = file

    def _take(self, line: bytes) -> None:
        if not self._has_check:
            self._check, self._has_check = first_check([line]), True
        found = record_of(line, self._check, self._order)
        if isinstance(found, str):
            place = f"{self.path}:{self._number + 1}"
            raise RunError(f"{place}: {found}; restore the file from a copy")
        self.records.append(found)
        self._check = split_check(line)[1]
