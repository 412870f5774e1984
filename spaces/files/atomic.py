"""Files that are either the old one or the new one, never half of one."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO

from spaces.files.disk import translate_disk_full


def write_text_atomically(path: Path, text: str) -> None:
    """Write text as UTF-8, line ends as they are; see `write_bytes_atomically`."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Replace the file's content in one step that a crash cannot split.

    The folder must exist. The file gets the permissions of any new file. On failure the old
    file stands and nothing is left beside it.

    Raises:
        DiskFullError: There is no room; names the file, the bytes that it needs and those free.
        OSError: The folder is missing or not writable.
    """
    # In the same folder, since a rename is atomic only within one file system.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with translate_disk_full(path, len(content)):
        try:
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


class WholeAppends:
    """Appends that are on disk when they return, or not in the file at all.

    Args:
        file: Opened for appending, and read through nothing else; unbuffered, since a buffer
            would write what was given up once more.
        path: Its path, for messages.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self._torn_at: int | None = None

    def append(self, content: bytes) -> None:
        """Write at the end of the file; what a failure wrote in part is cut off again at once.

        Where even that fails, the next call begins with it.

        Raises:
            DiskFullError: There is no room; the file is as it was.
            OSError: It cannot be written.
        """
        descriptor = self._file.fileno()
        if self._torn_at is not None:
            os.ftruncate(descriptor, self._torn_at)
            self._torn_at = None
        size_bytes = os.fstat(descriptor).st_size
        with translate_disk_full(self._path, len(content)):
            try:
                written = 0
                while written < len(content):  # a full disk takes a part, and refuses the next
                    written += os.write(descriptor, content[written:])
                os.fsync(descriptor)
            except BaseException:
                self._torn_at = size_bytes
                with suppress(OSError):  # kept in `_torn_at`
                    os.ftruncate(descriptor, size_bytes)
                    self._torn_at = None
                raise
