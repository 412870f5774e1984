"""The person's own code: only with permission, since importing a file runs it.

Permission belongs to the process and is given once, by `--allow-code`; nothing that is read from a
file can give it. Workers are told along with their first task.
"""

import sys
from pathlib import Path

from spaces.files.errors import ConfigError

_roots: list[Path] = []


def allow_code(root: Path) -> None:
    """Let this process run the person's code.

    Args:
        root: Folder that their modules are found in; it is searched after all else, so Veer's own
            packages and installed ones come first.
    """
    root = root.resolve()
    if root not in _roots:
        _roots.append(root)
        sys.path.append(str(root))


def is_code_allowed() -> bool:
    """Whether `allow_code` was called in this process."""
    return bool(_roots)


def code_roots() -> tuple[Path, ...]:
    """The folders that the person's modules are found in; empty without permission."""
    return tuple(_roots)


def code_root() -> Path | None:
    """The first of them, for a process that is to do work of this one; None without permission."""
    return next(iter(_roots), None)


def require_permission(what: str) -> None:
    """Refuse unless `allow_code` was called.

    Args:
        what: What would be run, as the subject of a sentence: `teacher plugin.yaml`.

    Raises:
        ConfigError: It was not.
    """
    if not is_code_allowed():
        raise ConfigError(f"{what} runs code of its own: give --allow-code if you trust it")
