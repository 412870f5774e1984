"""The hardware of this process: the device it computes on, its cores, and a description."""

import platform
from pathlib import Path
from typing import Any

import torch

from spaces.files.errors import ConfigError, TrainingError
from trainable.machine.cores import available_cores
from trainable.machine.gpus import driver_version, why_none, why_unusable


def choose_device(name: str) -> torch.device:
    """Return the device for a setting: `cpu`, `cuda`, or `auto` for CUDA if there is a GPU.

    On a GPU, this process computes float32 with all its bits from then on.

    Raises:
        ConfigError: The name is another one, PyTorch sees a GPU that it cannot use, or the name is
            `cuda` and there is no GPU.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda, got {name!r}")
    if name == "cpu":
        return torch.device("cpu")
    if (why := why_unusable()) is not None:
        raise ConfigError(
            f"device is {name}, but {why}; or set device: cpu (--device cpu), or hide the GPU "
            "(an empty CUDA_VISIBLE_DEVICES)"
        )
    if torch.cuda.is_available():
        return _gpu()
    if name == "cuda":
        raise ConfigError(f"device is cuda, but {why_none()}; or set device: cpu")
    return torch.device("cpu")


def trial_device(device: str, num_gpus: float) -> torch.device:
    """Return the device of a trial that was given a number (or fraction) of GPUs.

    On a GPU, this process computes float32 with all its bits from then on.

    Raises:
        TrainingError: A GPU is needed, but CUDA is not available.
    """
    if device == "cpu" or (device == "auto" and num_gpus == 0):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrainingError(
            f"a trial was given {num_gpus:g} GPUs, but {why_none()}; or set device: cpu"
        )
    return _gpu()


def _gpu() -> torch.device:
    # Where PyTorch has TF32 on, which is for convolutions and LSTMs, float32 keeps only 10 bits.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda")


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


def describe_gpu_software() -> dict[str, Any]:
    """Return the driver and the cuDNN of a GPU, on which its results depend too."""
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return {"gpu_driver": driver_version(), "cudnn": cudnn}


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


def cpu_has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool | None:
    """Return whether the CPU has instructions for products in bfloat16; None where unknown.

    Args:
        cpuinfo: File of Linux that describes the CPUs.
    """
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return None
    flags = {
        word
        for line in lines
        if line.partition(":")[0].strip() in ("flags", "Features")
        for word in line.partition(":")[2].split()
    }
    # Of x86, then of ARM.
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"}) if flags else None
