"""Atomic writes: after a crash a file holds its old content or its new content, never a part."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from spaces.files.disk import translate_disk_full


def write_text_atomically(path: Path, text: str) -> None:
    """Write text as UTF-8 with unchanged line ends; see `write_bytes_atomically`."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Replace the content of a file in one step that a crash cannot split.

    The folder must exist. The file gets the permissions of any new file. On failure the old
    file is unchanged and no temporary file remains.

    Raises:
        DiskFullError: There is no room; names the file, the bytes needed and the bytes free.
        OSError: The folder is missing or not writable.
    """
    # In the same folder, since a rename is atomic only within one file system. The name is
    # unique, so two processes that write the same file do not write into each other's bytes.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with translate_disk_full(path, len(content)):
        try:
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                # Without it a power cut after the rename can leave an empty file.
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:  # also Ctrl-C, which must leave no temporary file
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file, which gets its name when the block ends well.

    For content that is written in steps; see `write_bytes_atomically`. After an exception the old
    file is unchanged, and no temporary file remains.

    Raises:
        DiskFullError: There is no room.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with translate_disk_full(path):
        try:
            yield partial
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)  # missing after the rename


def replace_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Replace a folder with a new one that has these files, by paths in it; it appears complete.

    Raises:
        DiskFullError: There is no room; a folder that was there is unchanged.
        OSError: The folder above it is not writable.
    """
    num_bytes = sum(map(len, files.values()))
    with translate_disk_full(out, num_bytes):
        out.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, since a rename is atomic only within one file system.
        with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
            building, before = Path(temporary) / "new", Path(temporary) / "old"
            building.mkdir()
            for name, content in files.items():
                file = building / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            # A folder with content cannot be renamed over, so the old one is moved away first;
            # the temporary folder takes it along when it is deleted.
            if out.exists():
                out.rename(before)
            building.rename(out)


class WholeAppends:
    """Appends to a file that are on disk when they return, or not in the file at all.

    Args:
        file: Opened for appending and used by nothing else; unbuffered, since a buffer would
            write bytes again after a failed append was cut off.
        path: Its path, for messages.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self._torn_at: int | None = None

    def append(self, content: bytes) -> None:
        """Write at the end of the file; cut off a partial write if it fails.

        Where the file cannot be cut either, the next call starts with it.

        Raises:
            DiskFullError: There is no room; the file is unchanged.
            OSError: The file cannot be written.
        """
        descriptor = self._file.fileno()
        if self._torn_at is not None:
            os.ftruncate(descriptor, self._torn_at)
            self._torn_at = None
        size_bytes = os.fstat(descriptor).st_size
        with translate_disk_full(self._path, len(content)):
            try:
                written = 0
                while written < len(content):  # a full disk accepts a part and refuses the rest
                    written += os.write(descriptor, content[written:])
                os.fsync(descriptor)
            except BaseException:  # also Ctrl-C between two writes
                self._torn_at = size_bytes
                with suppress(OSError):  # the next call retries, by `_torn_at`
                    os.ftruncate(descriptor, size_bytes)
                    self._torn_at = None
                raise
