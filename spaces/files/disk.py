"""A full disk, told in one way: which file, how much it needs, how much is free, what to do."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from spaces.files.errors import DiskFullError

# What the system says where there is no room, and what gives room then.
FIX_BY_ERRNO = MappingProxyType(
    {
        errno.ENOSPC: "free room there",
        errno.EDQUOT: "free room there, or ask for a larger quota",
        errno.EFBIG: "raise the limit on the size of a file (`ulimit -f`)",
    }
)
BYTE_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@contextmanager
def translate_disk_full(
    path: Path, num_bytes: int | Callable[[], int] | None = None
) -> Iterator[None]:
    """Translates what is raised inside for want of room.

    Args:
        path: The file or folder that is written, as the person knows it.
        num_bytes: Bytes that it needs, or what tells them; None where nobody knows.

    Raises:
        DiskFullError: There is no room. One that was raised inside passes as it is.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        full = _full(error)
        if full is None or isinstance(error, DiskFullError):
            raise
        needed = num_bytes() if callable(num_bytes) else num_bytes
        raise DiskFullError(_message(path, needed, full)) from error


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error came of a disk, a quota or a limit without room to write."""
    return error is not None and _full(error) is not None


def free_bytes(path: Path) -> int:
    """Bytes that may still be written to the file system of a path, which need not exist yet.

    Raises:
        OSError: The file system cannot be asked.
    """
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def format_bytes(num_bytes: float) -> str:
    """A number of bytes with two digits or more in a decimal unit, such as `1.2 GB`."""
    unit = 0
    while num_bytes >= 999.5 and unit < len(BYTE_UNITS) - 1:
        num_bytes, unit = num_bytes / 1000, unit + 1
    digits = 1 if unit and num_bytes < 9.95 else 0
    return f"{num_bytes:.{digits}f} {BYTE_UNITS[unit]}"


def _full(error: BaseException) -> OSError | None:
    """The error of a full disk that is this one, or that this one was raised over.

    torch.save raises a RuntimeError of its own over the system's error.
    """
    next_: BaseException | None = error
    while next_ is not None:
        if isinstance(next_, OSError) and (
            next_.errno in FIX_BY_ERRNO or isinstance(next_, DiskFullError)
        ):
            return next_
        next_ = next_.__cause__ or next_.__context__
    return None


def _message(path: Path, num_bytes: int | None, error: OSError) -> str:
    number = error.errno or errno.ENOSPC
    needs = "" if num_bytes is None else f"{num_bytes:,} bytes are to be written, "
    try:
        free = f"{free_bytes(path):,} bytes are free on its file system"
    except OSError as unknown:
        free = f"how many are free cannot be found out ({unknown.strerror})"
    return (
        f"{path}: cannot be written ({os.strerror(number)}): {needs}{free}; "
        f"{FIX_BY_ERRNO[number]} and go on from here: what was written before stands"
    )
