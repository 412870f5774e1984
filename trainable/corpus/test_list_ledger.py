"""An append-only ledger of a test list: when it was opened, and for which models.

An opening is one evaluation of one model on a test list. The more often a list is opened, the more
likely it is that its best result is due to chance.

Every opening is one line in `test_openings.jsonl` next to the list, so that all users of the list
share the count, and one line in the cache folder, which also counts openings of a copy elsewhere.
One of the two files must be writable. Lists are identified by their content (`content_sha256`). A
second line holds the metrics once they are known; an interrupted evaluation counts as an opening.

The ledger reminds users who want to be honest. It is no protection against others: a user who may
write to the folder may delete the file.
"""

import getpass
import json
import os
import platform
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spaces.files.atomic import WholeAppends
from spaces.files.errors import DiskFullError, RunError
from spaces.files.locks import FileLock, open_no_follow

LEDGER = "test_openings.jsonl"
# Events in the file; "figures" is the name of the metrics since its first version.
_OPENED_EVENT, _METRICS_EVENT = "opened", "figures"


class Opening(BaseModel):
    """One opening of a test list. Fields that a later version added are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    id: str = Field(description="identifies the opening, the same in every file that has it")
    time_s: float = Field(description="time of the opening, seconds since 1970")
    user: str
    host: str
    model: str = Field(description="path of the model file")
    model_sha256: str
    run: str | None = Field(
        default=None, description="run folder of the search that trained the model"
    )
    trial: int | None = Field(default=None, description="number of the trial in that run folder")
    list_file: str
    list_sha256: str = Field(description="hash of the content of the list")
    num_pairs: int
    version: str = Field(description="version of Veer")
    figures: dict[str, Any] | None = Field(
        default=None, description="metrics of the evaluation; null if it did not end"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PastOpenings:
    """The openings of a list that the ledger holds.

    Attributes:
        openings: The openings, oldest first, each once.
        unreadable: File and number of each line that cannot be read, and may be an opening.
    """

    openings: tuple[Opening, ...]
    unreadable: tuple[str, ...] = ()


def new_opening(
    *,
    model: Path,
    model_sha256: str,
    list_file: Path,
    list_sha256: str,
    num_pairs: int,
    of_search: tuple[Path, int] | None = None,
) -> Opening:
    """Make an opening by the current user, on this machine, at this time.

    Args:
        model: The model file.
        model_sha256: Hash of its bytes.
        list_file: The test list.
        list_sha256: Hash of its content, see `content_sha256`.
        num_pairs: Number of its trial pairs.
        of_search: Run folder and trial number of the model, None if no search trained it.
    """
    run, trial = of_search or (None, None)
    return Opening(
        id=uuid.uuid4().hex,
        time_s=time.time(),
        user=_user(),
        host=platform.node(),
        model=str(model.absolute()),
        model_sha256=model_sha256,
        run=None if run is None else str(run.absolute()),
        trial=trial,
        list_file=str(list_file.absolute()),
        list_sha256=list_sha256,
        num_pairs=num_pairs,
        version=version("veer"),
    )


class OpeningLedger:
    """The openings of one test list, in a file next to it and in one in the cache folder.

    Args:
        list_file: The test list.
        cache: The cache folder; created if it is missing.
    """

    def __init__(self, list_file: Path, cache: Path) -> None:
        shared, own = list_file.absolute().parent / LEDGER, cache.absolute() / LEDGER
        # The file of the cache folder comes last in every process: two processes that lock the
        # same files in different orders could wait for each other forever.
        self.files = (own,) if shared == own else (shared, own)

    @property
    def is_empty(self) -> bool:
        """Whether neither file has a line, of any list."""
        return not any(_lines_of(file) for file in self.files)

    def past(self, list_sha256: str) -> PastOpenings:
        """Return the openings of the list with this content so far."""
        return _merged([_lines_of(file) for file in self.files], list_sha256)

    def record(self, opening: Opening) -> tuple[PastOpenings, tuple[Path, ...]]:
        """Write an opening to each file that can be written.

        Returns:
            The openings before it, and the files that hold it now.

        Raises:
            RunError: Neither file can be written, so the list may not be opened; or one is a link.
            DiskFullError: The disk is full.
        """
        line = {"event": _OPENED_EVENT} | opening.model_dump(mode="json", exclude={"figures"})
        with self._held() as held:
            past = self.past(opening.list_sha256)
            for path, file in held:
                _append(file, path, line)
        return past, tuple(path for path, _ in held)

    def record_metrics(self, opening: Opening, metrics: Mapping[str, Any]) -> None:
        """Write the metrics of an opening to each file that can be written.

        Raises:
            RunError: Neither file can be written, or one is a link.
            DiskFullError: The disk is full.
        """
        line = {"event": _METRICS_EVENT, "id": opening.id, "figures": dict(metrics)}
        with self._held() as held:
            for path, file in held:
                _append(file, path, line)

    @contextmanager
    def _held(self) -> Iterator[list[tuple[Path, IO[bytes]]]]:
        """Open the files that can be written, each locked against other processes."""
        held: list[tuple[Path, IO[bytes]]] = []
        faults = []
        with ExitStack() as stack:
            for path in self.files:
                try:
                    # Only the cache folder may be missing: the list is in the other one.
                    if path is self.files[-1]:
                        path.parent.mkdir(parents=True, exist_ok=True)
                    lock = FileLock(open_no_follow(path, os.O_RDWR | os.O_APPEND))
                except DiskFullError:
                    raise
                except OSError as error:
                    faults.append(f"{path}: {error.strerror}")
                    continue
                stack.callback(lock.release)
                lock.take()
                held.append((path, os.fdopen(lock.file, "a+b", buffering=0, closefd=False)))
            if not held:
                raise RunError(
                    "a test list is opened only where that can be recorded, and neither file can "
                    f"be written: {'; '.join(faults)}; make one writable, or set VEER_CACHE"
                )
            yield held


def _append(file: IO[bytes], path: Path, line: Mapping[str, Any]) -> None:
    """Append a mapping as one line of JSON, on disk as a whole or not at all."""
    # A line that a crash cut short has no newline: without one here, the new line would be lost
    # with it.
    size_bytes = os.fstat(file.fileno()).st_size
    is_torn = size_bytes > 0 and os.pread(file.fileno(), 1, size_bytes - 1) != b"\n"
    content = json.dumps(line, allow_nan=False, ensure_ascii=False).encode() + b"\n"
    WholeAppends(file, path).append(b"\n" * is_torn + content)


def _lines_of(path: Path) -> list[tuple[str, bytes]]:
    """Return each line after its `FILE:NUMBER`; no lines if the file does not exist."""
    try:
        lines = path.read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        # Reported as one line that cannot be read: the file may hold openings.
        return [(f"{path} ({error.strerror})", b"unreadable")]
    return [(f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]


def _merged(files: Sequence[list[tuple[str, bytes]]], list_sha256: str) -> PastOpenings:
    """Merge the lines of all files; the id of an opening makes it count once."""
    openings: dict[str, Opening] = {}
    metrics: dict[str, Any] = {}
    unreadable = []
    for position, line in (each for lines in files for each in lines):
        try:
            record = json.loads(line)
            event = record["event"]
            if event == _OPENED_EVENT:
                opening = Opening.model_validate(record)
                openings[opening.id] = opening
            elif event == _METRICS_EVENT:
                metrics[record["id"]] = dict(record["figures"])
        except (ValueError, LookupError, TypeError, RecursionError, ValidationError):
            unreadable.append(position)
    found = [
        each.model_copy(update={"figures": metrics.get(each.id)})
        for each in openings.values()
        if each.list_sha256 == list_sha256
    ]
    found.sort(key=lambda each: (each.time_s, each.id))
    return PastOpenings(openings=tuple(found), unreadable=tuple(unreadable))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without an account, as in containers
        return f"uid {os.getuid()}"
