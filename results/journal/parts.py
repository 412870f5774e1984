"""A journal in object storage: numbered parts, each of which is replaced whole.

A part is named after the position of its first byte in the journal, and ends with a line. The last
part is written again, longer, until it has `PART_BYTES`; then the next begins. A store replaces an
object in one step, so a crash leaves the journal as it was some moments before, never a torn line.
"""

import re
from pathlib import Path

from spaces.files.errors import RunError
from trainable.storage.remote import RemoteFolder

PARTS_FOLDER = "journal"
PART_BYTES = 256 * 2**10
_NAME = re.compile(r"(\d{12})\.jsonl")


class JournalParts:
    """The writer of a journal's parts, the only one; for one thread.

    Args:
        journal: The journal's file here, which its own writer extends meanwhile.
        remote: The folder of the run.
        part_bytes: A part that has so many bytes gets no more.
    """

    def __init__(
        self, journal: Path, remote: RemoteFolder, part_bytes: int = PART_BYTES
    ) -> None:
        self._journal = journal
        self._remote = remote.child(PARTS_FOLDER)
        self._part_bytes = part_bytes
        self._begin, self._there = _open_part(_sizes(self._remote))

    def upload(self) -> None:
        """Upload the whole lines that are not there yet.

        Raises:
            StorageError: A request failed; the next call goes on from there.
            RunError: Another process has written parts since.
        """
        with self._journal.open("rb") as file:
            file.seek(self._begin)
            lines = file.read()
        lines = lines[: lines.rfind(b"\n") + 1]
        while len(lines) > self._there:
            part = self._cut(lines)
            self._write(part)
            if len(part) < self._part_bytes:
                return
            lines, self._there = lines[len(part) :], 0
            self._begin += len(part)

    def _cut(self, lines: bytes) -> bytes:
        end = lines.find(b"\n", self._part_bytes - 1)
        return lines if end < 0 else lines[: end + 1]

    def _write(self, part: bytes) -> None:
        name = _part_name(self._begin)
        size = self._remote.size(name)
        # A part may have arrived though its answer was lost.
        if (size or 0) != self._there and not (
            size == len(part) and self._remote.read(name) == part
        ):
            raise RunError(
                f"{self._remote.uri}/{name}: must have {self._there} bytes, got {size or 0}: "
                "another process continues this search; end one of the two"
            )
        self._remote.write(part, name)
        self._there = len(part)


def read_parts(run: RemoteFolder) -> bytes:
    """Return the journal of a run, empty where it has none.

    Args:
        run: The folder of the run.

    Raises:
        StorageError: A request failed.
        RunError: A part is missing, or has another length than the next one's name says.
    """
    remote, content = run.child(PARTS_FOLDER), b""
    for begin in sorted(_sizes(remote)):
        if begin != len(content):
            raise RunError(
                f"{remote.uri}/{_part_name(begin)}: the parts before it must have {begin} bytes, "
                f"got {len(content)}; restore the folder from a copy"
            )
        content += remote.read(_part_name(begin))
    return content


def has_parts(files: dict[str, int]) -> bool:
    """Return whether a run's files have a journal."""
    folder = f"{PARTS_FOLDER}/"
    return any(name.startswith(folder) for name in files)


def is_part(name: str) -> bool:
    """Return whether a file of a run is a part of its journal."""
    folder, _, own = name.partition("/")
    return folder == PARTS_FOLDER and _NAME.fullmatch(own) is not None


def _sizes(remote: RemoteFolder) -> dict[int, int]:
    """Return the sizes of the parts by the positions where they begin."""
    named = ((_NAME.fullmatch(name), size) for name, size in remote.files().items())
    return {int(match[1]): size for match, size in named if match}


def _open_part(sizes: dict[int, int]) -> tuple[int, int]:
    begin = max(sizes, default=0)
    return begin, sizes.get(begin, 0)


def _part_name(begin: int) -> str:
    return f"{begin:012d}.jsonl"
