"""What a run must say about how it came about."""

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


def provenance() -> dict[str, Any]:
    """Versions, git commit, hardware and command line of this process."""
    return {
        "command": shlex.join(sys.argv),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "git": git_state(Path(__file__).parent),
        "hardware": describe_hardware(),
    }


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
