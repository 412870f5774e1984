"""Files that are either the old one or the new one, never half of one."""

import os
import secrets
from pathlib import Path


def write_text_atomically(path: Path, text: str) -> None:
    """Write text as UTF-8, line ends as they are; see `write_bytes_atomically`."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Replace the file's content in one step that a crash cannot split.

    The folder must exist. The file gets the permissions of any new file. On failure the old
    file stands and nothing is left beside it.

    Raises:
        OSError: The folder is missing, not writable, or full.
    """
    # In the same folder, since a rename is atomic only within one file system.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
