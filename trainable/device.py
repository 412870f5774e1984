"""Choosing where to compute."""

import torch

from spaces.files.errors import ConfigError


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
