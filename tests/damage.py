"""Kinds of damage to a file."""

import random
from collections.abc import Callable
from pathlib import Path


def empty(file: Path) -> None:
    """Remove all of its content."""
    file.write_bytes(b"")


def halve(file: Path) -> None:
    """Remove its second half."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def flip_bit(file: Path) -> None:
    """Flip one bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)


def scramble(file: Path) -> None:
    """Replace its content by as many random bytes."""
    file.write_bytes(random.Random(0).randbytes(file.stat().st_size))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": empty,
    "half": halve,
    "one bit": flip_bit,
    "random bytes": scramble,
}
