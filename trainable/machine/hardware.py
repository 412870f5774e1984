"""What a benchmark ran on."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

from spaces.files.errors import ConfigError


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_hardware() -> dict[str, Any]:
    """CPU, cores and the software that decides the speed, as plain data."""
    return {
        "cpu": cpu_name(),
        "num_cores": available_cores(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's own name, or its architecture where it has none."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def choose_device(name: str) -> torch.device:
    """`cpu`, `cuda`, or `auto`: CUDA where PyTorch can use it, else the CPU.

    Raises:
        ConfigError: Another name, or CUDA was asked for and cannot be used.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda, got {name!r}")
    usable = torch.cuda.is_available()
    if name == "cuda" and not usable:
        raise ConfigError("device is cuda, but PyTorch finds no usable GPU; set device: cpu")
    return torch.device("cuda" if usable and name != "cpu" else "cpu")
