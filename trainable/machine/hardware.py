"""The hardware of this process: the device it computes on, its cores, and a description."""

import platform
from pathlib import Path
from typing import Any

import torch

from spaces.files.errors import ConfigError
from trainable.machine.cores import available_cores


def choose_device(name: str) -> torch.device:
    """Return the device for a setting: `cpu`, `cuda`, or `auto` for CUDA if PyTorch can use it.

    Raises:
        ConfigError: The name is another one, or it is `cuda` and CUDA cannot be used.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda, got {name!r}")
    usable = torch.cuda.is_available()
    if name == "cuda" and not usable:
        raise ConfigError("device is cuda, but PyTorch finds no usable GPU; set device: cpu")
    return torch.device("cuda" if usable and name != "cpu" else "cpu")


def describe_hardware() -> dict[str, Any]:
    """Return CPU, cores and the software that decides the speed, for benchmark results."""
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
    """Return the model name of the CPU, or its architecture if the system gives no name.

    Args:
        cpuinfo: File of Linux that describes the CPUs.
    """
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
