"""One error for a full disk: the file, the bytes it needs, the bytes free, and the fix."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from spaces.files.errors import DiskFullError

# The error numbers of the system for lack of room, each with its fix.
FIX_BY_ERRNO = MappingProxyType(
    {
        errno.ENOSPC: "free room there",
        errno.EDQUOT: "free room there, or ask for a larger quota",
        errno.EFBIG: "raise the limit on the size of a file (`ulimit -f`)",
    }
)
# The kernel shows its own state there; even root, to whom it grants any right, makes no file.
KERNEL_FOLDERS = (Path("/proc"), Path("/sys"))
BYTE_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@contextmanager
def translate_disk_full(
    path: Path, num_bytes: int | Callable[[], int] | None = None
) -> Iterator[None]:
    """Translate an error for lack of room, raised inside, into a `DiskFullError`.

    Args:
        path: The file or folder that is written, as the user knows it.
        num_bytes: Bytes that it needs, or a function that returns them; None if unknown. The
            function is called only after a failure.

    Raises:
        DiskFullError: There is no room. A `DiskFullError` raised inside passes unchanged.
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
    """Return whether an error was caused by a full disk, a quota or a limit on the file size."""
    return error is not None and _full(error) is not None


def free_bytes(path: Path) -> int:
    """Return the bytes free on the file system of a path, which need not exist yet.

    Raises:
        OSError: The file system does not report them.
    """
    # statvfs needs a path that exists; a new run folder does not yet.
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def require_writable(folder: Path) -> None:
    """Refuse a folder, which need not exist yet, in which this user may make no file.

    For what is written only after long work.

    Raises:
        OSError: As the system would raise it.
    """
    there = folder.absolute()
    while not there.exists() and not there.is_symlink() and there != there.parent:
        there = there.parent
    if not there.exists():  # a link to nothing
        number = errno.ENOENT
    elif any(there.is_relative_to(kernel) for kernel in KERNEL_FOLDERS):
        number = errno.EPERM
    elif not there.is_dir():
        number = errno.ENOTDIR
    elif os.access(there, os.W_OK | os.X_OK):
        return
    else:
        number = errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES
    raise OSError(number, os.strerror(number), str(folder))


def format_bytes(num_bytes: float) -> str:
    """Return a number of bytes in a decimal unit, with two digits or more, such as `1.2 GB`."""
    unit = 0
    # From 999.5 on, rounding would print 1000 of a unit.
    while num_bytes >= 999.5 and unit < len(BYTE_UNITS) - 1:
        num_bytes, unit = num_bytes / 1000, unit + 1
    digits = 1 if unit and num_bytes < 9.95 else 0
    return f"{num_bytes:.{digits}f} {BYTE_UNITS[unit]}"


def _full(error: BaseException) -> OSError | None:
    """Return the full-disk error in the chain of causes of an error, the error itself included.

    torch.save hides the system's error behind a RuntimeError of its own.
    """
    next_: BaseException | None = error
    while next_ is not None:
        if isinstance(next_, OSError) and (
            next_.errno in FIX_BY_ERRNO or isinstance(next_, DiskFullError)
        ):
            return next_
        # The context too: an error raised in an `except` or `finally` block may have no cause.
        next_ = next_.__cause__ or next_.__context__
    return None


def _message(path: Path, num_bytes: int | None, error: OSError) -> str:
    number = error.errno or errno.ENOSPC
    needs = "" if num_bytes is None else f"{num_bytes:,} bytes are to be written, "
    try:
        free = f"{free_bytes(path):,} bytes are free on its file system"
    except OSError as unknown:
        free = f"the number of free bytes is unknown ({unknown.strerror})"
    return (
        f"{path}: cannot be written ({os.strerror(number)}): {needs}{free}; "
        f"{FIX_BY_ERRNO[number]} and continue: what was written before is intact"
    )
