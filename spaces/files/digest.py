"""A digest beside a file: what its bytes were when they were written.

`model000000007.model.sha256` holds one line in the format of `sha256sum`, which checks it too
(`sha256sum --check model000000007.model.sha256` in its folder). Needed since torch reads a model
file whose weights lost a bit without a word: it does not check the CRC-32 of its zip archive.
"""

import hashlib
import re
from pathlib import Path

from spaces.files.atomic import write_text_atomically
from spaces.files.errors import DamagedError

SUFFIX = ".sha256"
LINE = re.compile(r"([0-9a-f]{64}) [ *](\S.*)\n?")


def file_sha256(file: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_path(file: Path) -> Path:
    """Where the digest of a file is, or would be."""
    return file.with_name(file.name + SUFFIX)


def write_digest(file: Path, content: Path) -> None:
    """Note what a file's bytes are to be.

    Args:
        file: It gets the digest beside it; need not exist.
        content: Holds those bytes, under another name.
    """
    write_text_atomically(digest_path(file), f"{file_sha256(content)}  {file.name}\n")


def verify_digest(file: Path) -> None:
    """Compare a file with the digest beside it; one without a digest passes.

    Reads all of it, about 0.5 s a gigabyte, in constant memory. A file that is missing passes too:
    whoever opens it next says so better.

    Raises:
        DamagedError: They differ, or the digest cannot be read.
        OSError: The file cannot be read.
    """
    noted_at = digest_path(file)
    try:
        found = LINE.fullmatch(noted_at.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return
    if not file.is_file():
        return
    if found is None or found[2] != file.name:
        raise DamagedError(
            f"{noted_at}: must hold one line, 'SHA-256  {file.name}': damaged, so {file.name} "
            f"cannot be checked; restore both from a copy, or delete {noted_at.name} to use "
            "the file unchecked"
        )
    got = file_sha256(file)
    if got != found[1]:
        raise DamagedError(
            f"{file}: damaged: its SHA-256 must be {found[1][:12]}..., as {noted_at.name} says, "
            f"got {got[:12]}...; restore it from a copy, or delete both and make it anew"
        )
