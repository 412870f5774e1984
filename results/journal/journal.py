"""The journal: the events of a run, one JSON object a line, append-only.

All other files about the search can be rebuilt from it. Its records are those of
`results.records.records`. Only one process writes. Each line also has a `check` that chains it to
the previous line (see `results.journal.hash_chain`); readers of records do not see it.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from results.journal.hash_chain import START, chained, follows, split_check
from results.journal.record_order import RecordOrder
from results.records.record import Record, as_plain
from results.records.record_errors import complaint
from results.records.records import EVENTS, RECORD
from spaces.files.atomic import WholeAppends
from spaces.files.disk import translate_disk_full
from spaces.files.errors import RunError
from spaces.files.locks import open_no_follow

R = TypeVar("R", bound=Record)
NO_CHECK = "a line must end with a check, which chains it to the line before"


class Journal:
    """Writer of a journal file; each record is on disk when `append` returns.

    Not thread-safe; it must be the only writer of its file. A last line that a crash left
    incomplete is removed, so that the next record starts on a new line.

    Raises:
        RunError: The file is a link to another one, or its last line has no check.
        DiskFullError: There is no room for the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with translate_disk_full(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open_no_follow(path, os.O_RDWR | os.O_APPEND)
        # Unbuffered, as `WholeAppends` needs it.
        self._file = os.fdopen(file, "a+b", buffering=0)
        self._appends = WholeAppends(self._file, path)
        self._followers: list[Callable[[Record], None]] = []
        try:
            self._check = self._last_check(self._mend_last_line())
        except BaseException:
            self._file.close()
            raise

    def _mend_last_line(self) -> bytes:
        """Terminate a complete last line, and remove an incomplete one.

        An incomplete record never took effect: `append` had not returned.

        Returns:
            The last line that is left, empty where there is none.
        """
        self._file.seek(0)
        before, _, last = self._file.read().rpartition(b"\n")
        if last and _is_json(last):
            self._appends.append(b"\n")
            return last
        if last:
            self._file.truncate(len(before) + 1 if before else 0)
        return before.rpartition(b"\n")[2]

    def _last_check(self, line: bytes) -> bytes:
        """Return the check that the next line chains to; `line` is empty in a new journal."""
        check = split_check(line)[1]
        if line.strip() and not check:
            raise _damaged(self.path, f"{NO_CHECK}, got {line[:80]!r}")
        return check

    def append(self, record: R) -> R:
        """Write one record and return it.

        Raises:
            DiskFullError: There is no room; no part of the record is in the file.
        """
        line = json.dumps(
            record.as_dict(), allow_nan=False, ensure_ascii=False, separators=(",", ":")
        )
        content, check = chained(line.encode(), self._check)
        self._appends.append(content + b"\n")
        # Only after the write: a failed append must not move the chain.
        self._check = check
        for follower in self._followers:
            follower(record)
        return record

    def follow(self, follower: Callable[[Record], None]) -> None:
        """Call a function with every further record, once the record is on disk.

        Args:
            follower: Must not raise and must not change the record: `append` returns the same
                object.
        """
        self._followers.append(follower)

    def close(self) -> None:
        """Close the file; a second call has no effect."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_journal(path: Path) -> tuple[Record, ...]:
    """Return all records, oldest first, without an incomplete last line that a crash left.

    Raises:
        RunError: There is no such file; or a line before the last is damaged, altered, removed or
            inserted; or a record breaks a rule of `results.records.records`, for example because
            only a later version knows its event.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        raise RunError(f"{path}: no journal here") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from error
    # Empty after a complete line, or the part of a line that was written before a crash.
    if not _is_json(lines[-1]):
        lines.pop()
    records, check, order = [], START, RecordOrder()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            record, check = read_line(line, check, order, f"{path}:{number}")
            records.append(record)
    return tuple(records)


def read_line(
    line: bytes, before: bytes, order: RecordOrder, place: str
) -> tuple[Record, bytes]:
    """Return the record of a line, and the line's check.

    Args:
        line: The line without its end.
        before: The check of the previous line.
        order: The state after the previous records; updated.
        place: The line, as messages name it.

    Raises:
        RunError: The line is damaged or altered, or its record breaks a rule.
    """
    text, check = split_check(line)
    fault: str | None
    try:
        record = RECORD.validate_json(text)
    except ValidationError as error:
        fault = _unreadable(line) or _unchained(text, check, before) or _broken_rule(text, error)
        raise _damaged(place, fault) from None
    if fault := _unchained(text, check, before) or order.next_error(record):
        raise _damaged(place, fault)
    return record, check


def _damaged(place: object, fault: str) -> RunError:
    return RunError(f"{place}: {fault}; restore the file from a copy")


def _unchained(text: bytes, check: bytes, before: bytes) -> str | None:
    if not check:
        return NO_CHECK
    if not follows(text, check, before):
        return "altered, or lines before it were altered, removed or inserted"
    return None


def _unreadable(line: bytes) -> str | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):  # also UnicodeDecodeError
        return f"damaged, a line must be a JSON object, got {line[:80]!r}"
    if not isinstance(fields, dict):
        return f"a record must have an event, got {line[:80]!r}"
    return None


def _broken_rule(text: bytes, error: ValidationError) -> str:
    """Return which rule of `results.records.records` a JSON object breaks."""
    fields = json.loads(text)
    event = fields.get("event")
    if not isinstance(event, str):
        return "a record must have an event"
    if event not in EVENTS:
        return f"event must be one of {sorted(EVENTS)}, got {event!r}"
    # Pydantic's locations begin with the event.
    return complaint(EVENTS[event], fields, error, depth=1)


def as_recorded(value: Any) -> Any:
    """Return a value as a reader of the journal sees it, with JSON's types."""
    return json.loads(json.dumps(as_plain(value), allow_nan=False))


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
