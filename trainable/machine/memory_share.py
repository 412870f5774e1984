"""The share of a machine that a process may use: GPU memory, threads, and running out of memory.

Ray reserves shares but does not enforce them. `cap_memory` limits what PyTorch allocates on the
GPU, so that a process that runs out of memory takes none from other processes.
"""

import gc
import os
import re
from collections.abc import Iterator
from functools import lru_cache

import torch

from spaces.files.errors import TrainingError

# Kind of a fault that a trial may not meet again with more memory.
OUT_OF_MEMORY = "out_of_memory"
MIB = 2**20
# Texts of errors that PyTorch raises as plain RuntimeError: from the CPU's allocator, the driver
# (through CUDA or Triton), and the libraries (cuBLAS, cuDNN, cuFFT, cuSOLVER), where one of these
# had no memory for a handle or a work space.
OUT_OF_MEMORY_TEXTS = re.compile(
    r"DefaultCPUAllocator: (can't allocate|not enough) memory"
    r"|(CUDA error|CUDA driver error|Triton Error \[CUDA\]): out of memory"
    r"|\bCU[A-Z]+(_STATUS)?_ALLOC_FAILED"
    r"|\bCU[A-Z]+_STATUS_NOT_INITIALIZED"
    r"|(DEVICE|HOST)_ALLOCATION_FAILED"
    r"|unable to find an engine to execute this computation"
    r"|Unable to find a valid cuDNN algorithm"
)
# What CUDA itself takes, in this process and others, is known only about.
CONTEXT_SLACK_BYTES = 256 * MIB
# With segments that grow, memory that was freed in pieces is not lost to larger tensors.
GROWING_SEGMENTS = "expandable_segments:True"
ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the GPU or the machine had no memory left.

    The causes of an error count too: `torch.compile` raises its own error on top.
    """
    return any(_is_memory_error(each) for each in error_chain(error))


def _is_memory_error(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and OUT_OF_MEMORY_TEXTS.search(str(error)) is not None


def error_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, also hidden ones (`raise ... from None`)."""
    # The compiler hides the errors that it met. Errors may name each other: each comes once.
    seen: set[int] = set()
    next_: BaseException | None = error
    while next_ is not None and id(next_) not in seen:
        seen.add(id(next_))
        yield next_
        next_ = next_.__cause__ or next_.__context__


@lru_cache(maxsize=1)
def spare_modules() -> None:
    """Exempt all that this process has imported from garbage collection.

    With it `release_memory`, called between two trials, takes some 0.4 s less.
    """
    gc.freeze()


def release_memory() -> None:
    """Free the memory of tensors that are no longer referenced."""
    gc.collect()  # tensors may be in reference cycles, such as those of a traceback
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def memory_fraction(share: float, *, context_bytes: int, total_bytes: int) -> float:
    """Return the fraction of a GPU's memory that PyTorch may allocate in a process.

    Args:
        share: Share of a GPU that the process has; 1 or more for whole GPUs.
        context_bytes: Memory that the process takes outside PyTorch's allocator: the CUDA context
            and the libraries.
        total_bytes: Memory of the GPU.

    Raises:
        TrainingError: The share is not larger than `context_bytes`.
    """
    # Ray gives a whole GPU to no other trial, so it needs no limit.
    if share >= 1:
        return 1.0
    fraction = share - context_bytes / total_bytes
    if fraction <= 0:
        raise TrainingError(
            f"resources.gpu={share:g} of a GPU of {total_bytes / MIB:.0f} MiB is "
            f"{share * total_bytes / MIB:.0f} MiB, and a process takes about "
            f"{context_bytes / MIB:.0f} MiB before it trains; raise resources.gpu"
        )
    return fraction


def gpu_index(device: torch.device) -> int:
    """Return the number of a CUDA device, or of the current one if it has none."""
    # Some functions of `torch.cuda` refuse a device without a number.
    return torch.cuda.current_device() if device.index is None else device.index


def cap_memory(device: torch.device, share: float, context_bytes: int) -> None:
    """Limit what PyTorch reserves on a device to a share; does nothing on a CPU.

    Call it before the first allocation. A later call replaces the share. Segments are set to grow,
    unless the user has set PyTorch's allocator by one of `ALLOCATOR_VARIABLES`.

    Args:
        device: Device that the process will train on.
        share: Share of a GPU that the process has; 1 or more for whole GPUs.
        context_bytes: Memory that the process takes outside PyTorch's allocator.

    Raises:
        TrainingError: The share is too small for any training.
    """
    if device.type != "cuda":
        return
    if not any(os.environ.get(name) for name in ALLOCATOR_VARIABLES):
        # By the name that the installed version of PyTorch has for it.
        by_accelerator = getattr(torch._C, "_accelerator_setAllocatorSettings", None)
        (by_accelerator or torch.cuda.memory._set_allocator_settings)(GROWING_SEGMENTS)
    total_bytes = torch.cuda.get_device_properties(device).total_memory
    fraction = memory_fraction(share, context_bytes=context_bytes, total_bytes=total_bytes)
    torch.cuda.set_per_process_memory_fraction(fraction, gpu_index(device))


def is_crowded(share: float, context_bytes: int) -> bool:
    """Return whether less of the GPU is free than this process may still reserve of it.

    Then other processes have more than their shares. Call it right after memory ran out on the
    device that `cap_memory` was called for.

    Args:
        share: As in `cap_memory`.
        context_bytes: As in `cap_memory`.
    """
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    try:
        free_bytes, total_bytes = torch.cuda.mem_get_info()
    except RuntimeError:
        return True  # there is not even room for what CUDA itself takes
    fraction = memory_fraction(share, context_bytes=context_bytes, total_bytes=total_bytes)
    # A whole GPU has no cap, so CUDA's own part of it is not taken off yet.
    own_bytes = total_bytes * fraction - (context_bytes if share >= 1 else 0)
    return free_bytes + CONTEXT_SLACK_BYTES < own_bytes - torch.cuda.memory_reserved()


def set_compute_threads(num_threads: int) -> None:
    """Set the number of PyTorch's threads in this process, for one operator at a time."""
    torch.set_num_threads(num_threads)
    if torch.get_num_interop_threads() != 1:
        try:
            torch.set_num_interop_threads(1)
        except RuntimeError:
            # PyTorch starts this pool once in a process, and refuses to change it afterwards.
            return
