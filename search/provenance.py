"""What a run must say about how it came about."""

import hashlib
import platform
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trainable.hardware import describe_hardware

PACKAGES = ("veer", "torch", "torchaudio", "ray", "optuna", "numpy")
# What all machines of a search must have alike; the sampler, and so Optuna, runs on one.
SHARED_PACKAGES = ("veer", "torch", "torchaudio", "ray", "numpy")
CODE_FOLDERS = ("models", "results", "search", "spaces", "trainable")
CODE_SUFFIXES = frozenset({".py", ".yaml"})
CODE_DIGITS = 16


def provenance() -> dict[str, Any]:
    """Versions, git commit, hardware and command line of this process."""
    return {
        "command": shlex.join(sys.argv),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "git": git_state(Path(__file__).parent),
        "hardware": describe_hardware(),
    }


def versions() -> dict[str, str]:
    """What must be equal on all machines of a search, by name: packages, `python` and `code`.

    Of a package's version the part after `+` is left out: it names the build, such as `cpu` or
    `cu128`, in which a machine with a GPU differs from one without.
    """
    return {
        **{name: version(name).partition("+")[0] for name in SHARED_PACKAGES},
        "python": ".".join(platform.python_version_tuple()[:2]),
        "code": code_sha256()[:CODE_DIGITS],
    }


def code_sha256(root: Path = Path(__file__).parents[1]) -> str:
    """SHA-256 of Veer's own source: the modules and bundled YAML files below a folder.

    Names and contents count, in the order of the names; when they were written does not.
    """
    digest = hashlib.sha256()
    files = (file for folder in CODE_FOLDERS for file in (root / folder).rglob("*"))
    for file in sorted(file for file in files if file.suffix in CODE_SUFFIXES):
        name = file.relative_to(root).as_posix().encode()
        content = hashlib.sha256(file.read_bytes()).digest()
        digest.update(hashlib.sha256(name).digest() + content)
    return digest.hexdigest()


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the work tree that a folder is in, and whether it has changes; else None."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "has_changes": bool(_git(folder, "status", "--porcelain"))}


def _git(folder: Path, *args: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run([git, *args], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
