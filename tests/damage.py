"""What can happen to a file."""

import random
from collections.abc import Callable
from pathlib import Path


def empty(file: Path) -> None:
    """Nothing is left of it."""
    file.write_bytes(b"")


def halve(file: Path) -> None:
    """Its second half is gone."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def flip_bit(file: Path) -> None:
    """One bit in the middle is another one."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)


def scramble(file: Path) -> None:
    """As long as before, but random bytes."""
    file.write_bytes(random.Random(0).randbytes(file.stat().st_size))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": empty,
    "half": halve,
    "one bit": flip_bit,
    "random bytes": scramble,
}
