"""What a run must say about how it came about."""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import torch

from trainable.machine.hardware import describe_hardware

PACKAGES = ("veer", "torch", "torchaudio", "ray", "optuna", "numpy")
# What all machines of a search must have alike; the sampler, and so Optuna, runs on one.
SHARED_PACKAGES = ("veer", "torch", "torchaudio", "ray", "numpy")
CODE_FOLDERS = ("models", "results", "search", "spaces", "trainable")
CODE_SUFFIXES = frozenset({".py", ".yaml"})
CODE_DIGITS = 16
# Of the environment what decides how numbers come about, where things lie and how Ray is joined.
VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "PYTHONHASHSEED", "RAY_AUTH_MODE")
VARIABLE_PREFIXES = (
    "ATEN_", "CUBLAS_", "DNNL_", "KMP_", "MKL_", "OMP_", "ONEDNN_", "TORCHINDUCTOR_", "TORCH_",
    "VEER_",
)  # fmt: skip
# Say where torch writes; the first one torch sets itself, once it has compiled.
WITHOUT_EFFECT = frozenset({"TORCHINDUCTOR_CACHE_DIR", "TORCH_HOME", "TORCH_LOGS"})
SECRETS = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "KEY")


def provenance() -> dict[str, Any]:
    """What this process runs: code, packages, environment, git commit, hardware, command line."""
    return {
        "command": shlex.join(sys.argv),
        "folder": working_folder(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "code_sha256": code_sha256(),
        "packages": installed_packages(),
        "environment": relevant_variables(os.environ),
        "git": git_state(Path(__file__).parent),
        "hardware": describe_hardware(),
        "cuda": {"torch_built_for": torch.version.cuda, "num_gpus": torch.cuda.device_count()},
    }


def working_folder() -> str | None:
    """Where the command line's relative paths start; None where that folder is gone."""
    try:
        return str(Path.cwd())
    except OSError:
        return None


def installed_packages() -> list[str]:
    """Every package of the environment as `name==version`, sorted: what rebuilds it."""
    found = {(each.metadata["Name"], each.version) for each in distributions()}
    return sorted((f"{name}=={number}" for name, number in found if name), key=str.lower)


def relevant_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a run may depend on, sorted; none whose name speaks of a secret."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if (name in VARIABLES or name.startswith(VARIABLE_PREFIXES))
        and name not in WITHOUT_EFFECT
        and not any(word in name for word in SECRETS)
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


def code_sha256(root: Path = Path(__file__).parents[2]) -> str:
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
    done = subprocess.run(  # noqa: S603 - git, with arguments of ours
        [git, *args], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None


AUTH_MODE = "RAY_AUTH_MODE"
