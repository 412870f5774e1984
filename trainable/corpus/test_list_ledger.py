"""How often a test list was opened, when and for which models: an append-only ledger.

Every opening is a line of `test_openings.jsonl` beside the list, so that all who share the list
share the count, and one in the cache folder, where the opening of a copy elsewhere counts too. Of
the two files one must be writable. Lists are told by their content (`list_content`). A second line
holds the figures, once they are known; an evaluation that was interrupted counts all the same.

The ledger reminds people who want to be honest. It is no guard against others: whoever may write
to the folder may delete it.
"""

import fcntl
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
from spaces.files.locks import open_no_follow

LEDGER = "test_openings.jsonl"
_OPENED_EVENT, _METRICS_EVENT = "opened", "figures"


class Opening(BaseModel):
    """One opening of a test list; fields that a later version adds are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    id: str = Field(description="names the opening, the same in every file that has it")
    time_s: float = Field(description="when, seconds since 1970")
    user: str
    host: str
    model: str = Field(description="the model file")
    model_sha256: str
    run: str | None = Field(default=None, description="run folder of the search it came from")
    trial: int | None = Field(default=None, description="number of its trial there")
    list_file: str
    list_sha256: str = Field(description="of the list's content")
    num_pairs: int
    version: str = Field(description="Veer's")
    figures: dict[str, Any] | None = Field(
        default=None, description="what was found; null where the evaluation did not end"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PastOpenings:
    """What the ledger says of a list.

    Attributes:
        openings: Oldest first, each once.
        unreadable: Places of lines that cannot be read, each of which may be an opening.
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
    """An opening by this person, on this machine, now.

    Args:
        model: The model file.
        model_sha256: Of its bytes.
        list_file: The test list.
        list_sha256: Of its content.
        num_pairs: Its trial pairs.
        of_search: Run folder and trial that the model is of, None where it is of no search.
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
    """The openings of one test list, in the file beside it and in the cache folder's.

    Args:
        list_file: The test list.
        cache: The cache folder; made if need be.
    """

    def __init__(self, list_file: Path, cache: Path) -> None:
        beside, own = list_file.absolute().parent / LEDGER, cache.absolute() / LEDGER
        # The cache folder's comes last, so that two processes lock shared files in one order.
        self.files = (own,) if beside == own else (beside, own)

    @property
    def is_empty(self) -> bool:
        """Whether neither file has a line: then no list was opened that they could tell of."""
        return not any(_lines_of(file) for file in self.files)

    def past(self, list_sha256: str) -> PastOpenings:
        """The openings so far of the list with this content."""
        return _merged([_lines_of(file) for file in self.files], list_sha256)

    def record(self, opening: Opening) -> tuple[PastOpenings, tuple[Path, ...]]:
        """Writes an opening where it can be written.

        Returns:
            The openings before it, and the files that hold it now.

        Raises:
            RunError: No file can be written, so the list may not be opened; or one is a link.
            DiskFullError: There is no room for it.
        """
        line = {"event": _OPENED_EVENT} | opening.model_dump(mode="json", exclude={"figures"})
        with self._held() as held:
            past = self.past(opening.list_sha256)
            for path, file in held:
                _append(file, path, line)
        return past, tuple(path for path, _ in held)

    def record_metrics(self, opening: Opening, metrics: Mapping[str, Any]) -> None:
        """Writes what an opening has shown, to the files that hold it.

        Raises:
            RunError: No file can be written, or one is a link.
            DiskFullError: There is no room for it.
        """
        line = {"event": _METRICS_EVENT, "id": opening.id, "figures": dict(metrics)}
        with self._held() as held:
            for path, file in held:
                _append(file, path, line)

    @contextmanager
    def _held(self) -> Iterator[list[tuple[Path, IO[bytes]]]]:
        """The files that can be written, each locked against other processes."""
        held: list[tuple[Path, IO[bytes]]] = []
        faults = []
        with ExitStack() as stack:
            for path in self.files:
                try:
                    if path is self.files[-1]:
                        path.parent.mkdir(parents=True, exist_ok=True)
                    descriptor = open_no_follow(path, os.O_RDWR | os.O_APPEND)
                except DiskFullError:
                    raise
                except OSError as error:
                    faults.append(f"{path}: {error.strerror}")
                    continue
                file = stack.enter_context(os.fdopen(descriptor, "a+b", buffering=0))
                fcntl.flock(file, fcntl.LOCK_EX)
                held.append((path, file))
            if not held:
                raise RunError(
                    "a test list is opened only where that can be recorded, and neither file can "
                    f"be written: {'; '.join(faults)}; make one writable, or set VEER_CACHE"
                )
            yield held


def _append(file: IO[bytes], path: Path, line: Mapping[str, Any]) -> None:
    """Appends a line; one that a crash tore before it keeps a line of its own."""
    size_bytes = os.fstat(file.fileno()).st_size
    is_torn = size_bytes > 0 and os.pread(file.fileno(), 1, size_bytes - 1) != b"\n"
    content = json.dumps(line, allow_nan=False, ensure_ascii=False).encode() + b"\n"
    WholeAppends(file, path).append(b"\n" * is_torn + content)


def _lines_of(path: Path) -> list[tuple[str, bytes]]:
    """Each line with its place; none where the file is not there, or may not be read."""
    try:
        lines = path.read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        return [(f"{path} ({error.strerror})", b"unreadable")]
    return [(f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]


def _merged(files: Sequence[list[tuple[str, bytes]]], list_sha256: str) -> PastOpenings:
    openings: dict[str, Opening] = {}
    figures: dict[str, Any] = {}
    unreadable = []
    for place, line in (each for lines in files for each in lines):
        try:
            record = json.loads(line)
            match record["event"]:
                case "opened":
                    opening = Opening.model_validate(record)
                    openings[opening.id] = opening
                case "figures":
                    figures[record["id"]] = dict(record["figures"])
        except (ValueError, LookupError, TypeError, RecursionError, ValidationError):
            unreadable.append(place)
    found = [
        each.model_copy(update={"figures": figures.get(each.id)})
        for each in openings.values()
        if each.list_sha256 == list_sha256
    ]
    found.sort(key=lambda each: (each.time_s, each.id))
    return PastOpenings(openings=tuple(found), unreadable=tuple(unreadable))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without an account, as in containers
        return f"uid {os.getuid()}"
