"""One line for a target that cannot be written: the path, the reason of the system, the remedy."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from spaces.files.disk import FIX_BY_ERRNO, KERNEL_FOLDERS
from spaces.files.errors import ConfigError

# The names of temporary files, by which the user does not know the file.
_PARTIAL = re.compile(r"^\.(.+)\.(\d+-[0-9a-f]{8}\.tmp|[a-z0-9_]{8})$")
_NO_RIGHT = frozenset({errno.EACCES, errno.EPERM})
_FIXES: Mapping[int, str] = MappingProxyType(
    {
        **FIX_BY_ERRNO,
        errno.EISDIR: "a folder is there: give the name of a file",
        errno.ELOOP: "links lead round in a circle there: remove one",
        errno.EMFILE: "raise the limit on open files (`ulimit -n`)",
        errno.ENFILE: "too many files are open on this machine: end other programs",
        errno.EIO: "the disk or the connection to it fails: see the system's log (`dmesg`)",
        errno.ESTALE: "the file server has lost it: mount it again",
        errno.EBUSY: "another program uses it: end that",
        errno.EROFS: "it is mounted read-only",
        errno.ENAMETOOLONG: "shorten the name",
        errno.EINVAL: "the file system does not take that name: choose another",
        errno.EILSEQ: "the file system does not take that name: choose another",
    }
)
# The packages that print.
_PRINTERS = frozenset({"rich", "typer", "click"})
# What is wrong with these is the place itself.
_ELSEWHERE = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE})


def refusal(error: OSError, options: Sequence[str]) -> str:
    """Return the message for a file or folder that the system refuses.

    Args:
        error: The system's error.
        options: Names of the command's options and arguments, such as `--out`.
    """
    fix = "; ".join(_remedies(error, _path_of(error), options))
    return f"{reason(error)}; {fix}" if fix else reason(error)


def reason(error: OSError) -> str:
    """Return the path that the system refuses, and why."""
    path = _path_of(error)
    return str(error) if path is None else f"{path}: {error.strerror or error}"


def is_of_output(error: OSError) -> bool:
    """Return whether an error was raised while something was printed."""
    last = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        last = frame.f_globals.get("__name__", "").partition(".")[0]
    return error.filename is None and last in _PRINTERS


def output_refusal(error: OSError) -> str:
    """Return the message for a standard output that takes no more."""
    fix = _FIXES.get(error.errno or 0)
    text = f"standard output cannot be written: {error.strerror or error}"
    return f"{text}; {fix}" if fix else text


def _path_of(error: OSError) -> Path | None:
    # Of a rename, the second path is the file's own name.
    named = error.filename2 or error.filename
    if not isinstance(named, str | bytes):
        return None
    path = Path(named.decode(errors="surrogateescape") if isinstance(named, bytes) else named)
    return path.with_name(_PARTIAL.sub(r"\1", path.name)) if path.name else path


def _remedies(error: OSError, path: Path | None, options: Sequence[str]) -> Iterator[str]:
    """Yield what can be done, by what the system found wrong."""
    number = error.errno or 0
    if path is None:
        # Not of a file: a connection, a process.
        if number in FIX_BY_ERRNO:
            yield _FIXES[number]
    elif (blocking := _file_above(path)) is not None and number in (errno.ENOTDIR, errno.EEXIST):
        yield f"{blocking} is a file where a folder is needed: move it, or {_other_place(options)}"
    elif (link := _dead_link(path)) is not None and number in (errno.ENOENT, errno.EEXIST):
        yield f"{link} is a link to {link.readlink()}, where nothing is: remove the link"
    elif any(path.absolute().is_relative_to(kernel) for kernel in KERNEL_FOLDERS):
        yield f"the kernel takes no files there; {_other_place(options)}"
    elif number == errno.ENOENT:
        yield "nothing is there: see if the path is right"
    elif number in _NO_RIGHT:
        yield _cache_fix(path) or f"make it writable, or {_other_place(options)}"
    elif number in _FIXES:
        yield _FIXES[number]
        if number in _ELSEWHERE:
            yield _cache_fix(path) or _other_place(options)


def _file_above(path: Path) -> Path | None:
    """Return the part of a path that is a file, though a folder must be there; None without."""
    there = path.absolute()
    for each in (there, *there.parents):
        try:
            if each.exists():
                return None if each.is_dir() else each
        except OSError:
            continue
    return None


def _dead_link(path: Path) -> Path | None:
    """Return the part of a path that is a link to nothing; None without one."""
    there = path.absolute()
    try:
        return next(
            (each for each in (there, *there.parents) if each.is_symlink() and not each.exists()),
            None,
        )
    except OSError:
        return None


def _cache_fix(path: Path) -> str:
    from trainable.machine.cache_dir import CACHE_VARIABLE, cache_dir

    with suppress(ConfigError):  # no home folder, so no cache
        if path.absolute().is_relative_to(cache_dir()):
            return f"set ${CACHE_VARIABLE} to a folder that you may write to"
    return ""


def _other_place(options: Sequence[str]) -> str:
    if "out" in options:  # an argument
        return "choose another place"
    for option in ("--out", "--run"):
        if option in options:
            return f"choose another place with {option}"
    return "work with a copy in a place that you may write to"
