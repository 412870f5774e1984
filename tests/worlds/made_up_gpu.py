"""A GPU as PyTorch's functions of memory see it: only what they ask the driver is made up."""

from types import SimpleNamespace

import pytest
import torch


class MadeUpGpu:
    """The current device of two, with the number 1; PyTorch's checks of arguments stay in.

    Args:
        monkeypatch: Puts it in place, for a test.
        total_bytes: Its memory.
        free_bytes: What is free of it; all unless given.

    Attributes:
        fractions: What PyTorch's allocator may take, by the number of a device.
        allocator_settings: The settings that PyTorch's allocator was given, in order.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, total_bytes: int, free_bytes: int | None = None
    ) -> None:
        self.fractions: dict[int, float] = {}
        self.allocator_settings: list[str] = []
        free_bytes = total_bytes if free_bytes is None else free_bytes
        runtime = SimpleNamespace(cudaMemGetInfo=lambda _: (free_bytes, total_bytes))
        properties = SimpleNamespace(total_memory=total_bytes)
        monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
        monkeypatch.setattr(torch.cuda.memory, "_lazy_init", lambda: None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
        monkeypatch.setattr(torch.cuda, "cudart", lambda: runtime)
        for owner, name, stand_in in (
            (torch.cuda, "_get_device_properties", lambda _: properties),
            (torch._C, "_accelerator_setAllocatorSettings", self.allocator_settings.append),
            (torch._C, "_cuda_setMemoryFraction", self._set),
            (torch._C, "_cuda_getMemoryFraction", self.fractions.__getitem__),
        ):
            monkeypatch.setattr(owner, name, stand_in, raising=False)

    def _set(self, fraction: float, index: int) -> None:
        self.fractions[index] = fraction


def forbid_cuda_here(patch: pytest.MonkeyPatch) -> None:
    """Let PyTorch see a GPU in this process, and fail at its first use."""

    def fail() -> None:
        raise AssertionError("CUDA was started in the process that leads the search")

    patch.setattr(torch.cuda, "is_available", lambda: True)
    # Optimizers on the CPU ask this too, which starts nothing.
    patch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    for module in (torch.cuda, torch.cuda.memory):
        patch.setattr(module, "_lazy_init", fail)
