"""Folders that the system refuses to write to, for every user: a file system mounted read-only.

Python reports each file that it opens, makes, renames or removes to an audit hook, which refuses
those in the folder as the system would. Files that C++ opens by itself pass.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Positions of the paths among an event's arguments.
_CHANGES = {
    "os.mkdir": (0,), "os.rename": (0, 1), "os.remove": (0,), "os.rmdir": (0,), "os.link": (1,),
    "os.symlink": (1,), "os.truncate": (0,), "os.chmod": (0,), "shutil.rmtree": (0,),
    "sqlite3.connect": (0,), "os.utime": (0,),
}  # fmt: skip
_refused: list[Path] = []
_hooked: list[bool] = []


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Refuse every change in a folder inside the block."""
    if not _hooked:
        # A hook stays as long as the process.
        sys.addaudithook(_refuse)
        _hooked.append(True)
    access, statvfs = os.access, os.statvfs

    def may(path: Any, mode: int, **options: Any) -> bool:
        return access(path, mode, **options) and not (mode & os.W_OK and _is_refused(path))

    def described(path: Any) -> Any:
        flags = statvfs(path).f_flag | (os.ST_RDONLY if _is_refused(path) else 0)
        return SimpleNamespace(f_flag=flags)

    _refused.append(folder.resolve())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "access", may)
        patch.setattr(os, "statvfs", described)
        yield
    _refused.pop()


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _refused:
        return
    if event == "open":
        places = (0,) if isinstance(arguments[2], int) and arguments[2] & _WRITES else ()
    else:
        places = _CHANGES.get(event, ())
    for place in places:
        path = arguments[place]
        if isinstance(path, str | bytes | os.PathLike) and _is_refused(path):
            if event == "os.mkdir" and os.path.exists(path):  # noqa: PTH110 - any kind of path
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(path))
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fsdecode(path))


def _is_refused(path: Any) -> bool:
    real = Path(os.path.realpath(os.fsdecode(path)))
    return any(real.is_relative_to(folder) for folder in _refused)
