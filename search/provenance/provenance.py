"""The provenance of a run: code, packages, environment, hardware and command of this process."""

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

from trainable.machine.gpus import driver_version
from trainable.machine.hardware import describe_hardware

PACKAGES = ("veer", "torch", "torchaudio", "ray", "optuna", "numpy")
# Packages with the same version on all machines of a search; Optuna is not among them, since the
# sampler runs on one machine only.
SHARED_PACKAGES = ("veer", "torch", "torchaudio", "ray", "numpy")
CODE_FOLDERS = ("models", "results", "search", "spaces", "trainable")
CODE_SUFFIXES = frozenset({".py", ".yaml"})
# Of 64 hexadecimal digits: enough to distinguish versions of the code.
CODE_DIGITS = 16
# The environment variable with which Ray chooses between a token and no authentication.
AUTH_MODE = "RAY_AUTH_MODE"
# Environment variables that affect numbers, the location of files, or the connection to Ray.
VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "PYTHONHASHSEED", AUTH_MODE)
VARIABLE_PREFIXES = (
    "ATEN_", "CUBLAS_", "DNNL_", "KMP_", "MKL_", "OMP_", "ONEDNN_", "TORCHINDUCTOR_", "TORCH_",
    "VEER_",
)  # fmt: skip
# Only where torch writes files and logs; torch sets the first itself once it has compiled, which
# would show as a change on every resume.
WITHOUT_EFFECT = frozenset({"TORCHINDUCTOR_CACHE_DIR", "TORCH_HOME", "TORCH_LOGS"})
# A run folder may be published: variables with these words in their names are never recorded.
SECRETS = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "KEY")


def provenance() -> dict[str, Any]:
    """Return command, code, packages, environment, git commit and hardware of this process."""
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
        "cuda": {
            "torch_built_for": torch.version.cuda,
            "num_gpus": torch.cuda.device_count(),
            "driver": driver_version(),
        },
    }


def working_folder() -> str | None:
    """Return the working folder, from which the command's paths count; None if it is deleted."""
    try:
        return str(Path.cwd())
    except OSError:
        return None


def installed_packages() -> list[str]:
    """Return all installed packages as `name==version`, sorted, as pip can install them."""
    found = {(each.metadata["Name"], each.version) for each in distributions()}
    return sorted((f"{name}=={number}" for name, number in found if name), key=str.lower)


def relevant_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables on which a run may depend, sorted; none with a secret's name."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if (name in VARIABLES or name.startswith(VARIABLE_PREFIXES))
        and name not in WITHOUT_EFFECT
        and not any(word in name for word in SECRETS)
    }


def versions() -> dict[str, str]:
    """Return the versions that must be equal on all machines of a search, by name.

    These are packages, `python` and `code`. The part of a package's version after `+` is left out:
    it names the build, such as `cpu` or `cu128`, which differs between machines with and without a
    GPU.
    """
    return {
        **{name: version(name).partition("+")[0] for name in SHARED_PACKAGES},
        "python": ".".join(platform.python_version_tuple()[:2]),
        "code": code_sha256()[:CODE_DIGITS],
    }


def code_sha256(root: Path = Path(__file__).parents[2]) -> str:
    """Return the SHA-256 of Veer's own source: modules and bundled YAML files below a folder.

    It depends on names and contents, in the order of the names, not on times.
    """
    digest = hashlib.sha256()
    files = (file for folder in CODE_FOLDERS for file in (root / folder).rglob("*"))
    for file in sorted(file for file in files if file.suffix in CODE_SUFFIXES):
        name = file.relative_to(root).as_posix().encode()
        content = hashlib.sha256(file.read_bytes()).digest()
        # Fixed-length digests, so that no name and content can be mistaken for another pair.
        digest.update(hashlib.sha256(name).digest() + content)
    return digest.hexdigest()


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return commit and changes of the git work tree around a folder, None if there is none."""
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
