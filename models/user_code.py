"""Permission to run the user's own code, since importing a file runs it.

Permission belongs to the process and is given once, by `--allow-code`; nothing that is read from a
file can give it. Workers receive it with their first task.
"""

import sys
from pathlib import Path

from spaces.files.errors import ConfigError

_roots: list[Path] = []


def allow_code(root: Path) -> None:
    """Allow this process to run the user's code.

    Args:
        root: Folder of the user's modules. It is searched last, so that Veer's own packages and
            installed ones come first.
    """
    root = root.resolve()
    if root not in _roots:
        _roots.append(root)
        sys.path.append(str(root))


def is_code_allowed() -> bool:
    """Return whether `allow_code` was called in this process."""
    return bool(_roots)


def code_roots() -> tuple[Path, ...]:
    """Return the folders of the user's modules; empty without permission."""
    return tuple(_roots)


def code_root() -> Path | None:
    """Return the first of the folders, for a worker of this process; None without permission."""
    return next(iter(_roots), None)


def require_permission(what: str) -> None:
    """Raise an error unless `allow_code` was called.

    Args:
        what: The code that would run, as the subject of a sentence: `teacher plugin.yaml`.

    Raises:
        ConfigError: `allow_code` was not called.
    """
    if not is_code_allowed():
        raise ConfigError(f"{what} runs code of its own: give --allow-code if you trust it")
