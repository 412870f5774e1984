"""One line for a target that cannot be written: the path, the reason of the system, the remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

# The names of temporary files, by which the user does not know the file.
_PARTIAL = re.compile(r"^\.(.+)\.(\d+-[0-9a-f]{8}\.tmp|[a-z0-9_]{8})$")


def refusal(error: OSError, options: Sequence[str]) -> str:
    """Return the message for a file or folder that the system refuses.

    Args:
        error: The system's error.
        options: Names of the command's options and arguments, such as `--out`.
    """
    return f"{reason(error)}; {_remedy(_path_of(error), options)}"


def reason(error: OSError) -> str:
    """Return the path that the system refuses, and why."""
    path = _path_of(error)
    return str(error) if path is None else f"{path}: {error.strerror or error}"


def _path_of(error: OSError) -> Path | None:
    # Of a rename, the second path is the file's own name.
    named = error.filename2 or error.filename
    if not isinstance(named, str | bytes):
        return None
    path = Path(named.decode(errors="surrogateescape") if isinstance(named, bytes) else named)
    return path.with_name(_PARTIAL.sub(r"\1", path.name)) if path.name else path


def _remedy(path: Path | None, options: Sequence[str]) -> str:
    from trainable.machine.cache_dir import CACHE_VARIABLE, cache_dir

    if path is not None and path.absolute().is_relative_to(cache_dir().absolute()):
        return f"set ${CACHE_VARIABLE} to a folder that you may write to"
    if "out" in options:  # an argument
        return "make it writable, or choose another place"
    for option in ("--out", "--run"):
        if option in options:
            return f"make it writable, or choose another place with {option}"
    return "make it writable, or work with a copy in a place that you may write to"
