"""A digest next to a file: the SHA-256 of its bytes when they were written.

`model000000007.model.sha256` holds one line in the format of `sha256sum`, which checks it too
(`sha256sum --check model000000007.model.sha256` in its folder). Needed because torch reads a model
file with a flipped bit without an error: it does not check the CRC-32 of its zip archive.
"""

import hashlib
import re
from pathlib import Path

from spaces.files.atomic import write_text_atomically
from spaces.files.errors import DamagedError

SUFFIX = ".sha256"
# `sha256sum --binary` puts a `*` before the name.
LINE = re.compile(r"([0-9a-f]{64}) [ *](\S.*)\n?")


def file_sha256(file: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_path(file: Path) -> Path:
    """Return the path of the digest of a file; need not exist."""
    return file.with_name(file.name + SUFFIX)


def write_digest(file: Path, content: Path) -> None:
    """Write the digest of a file before the file itself is in place.

    Args:
        file: The digest is written next to it; need not exist.
        content: Another file that holds the bytes that `file` will have.
    """
    write_text_atomically(digest_path(file), f"{file_sha256(content)}  {file.name}\n")


def verify_digest(file: Path) -> None:
    """Compare a file with the digest next to it; a file without a digest passes.

    Reads the whole file, about 0.5 s per gigabyte, in constant memory. A missing file passes too:
    the code that opens it next raises a better error.

    Raises:
        DamagedError: They differ, or the digest cannot be read.
        OSError: The file cannot be read.
    """
    noted_at = digest_path(file)
    try:
        # Damaged bytes must lead to the message below, not to a decoding error.
        found = LINE.fullmatch(noted_at.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return
    if not file.is_file():
        return
    if found is None or found[2] != file.name:
        raise DamagedError(
            f"{noted_at}: must hold one line, 'SHA-256  {file.name}': damaged, so {file.name} "
            f"cannot be checked; restore both from a copy, or move {noted_at.name} away to "
            "use the file unchecked"
        )
    got = file_sha256(file)
    if got != found[1]:
        raise DamagedError(
            f"{file}: damaged: its SHA-256 must be {found[1][:12]}..., by {noted_at.name}, "
            f"got {got[:12]}...; restore it from a copy, or create it again"
        )
