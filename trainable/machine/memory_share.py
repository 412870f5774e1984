"""A process that keeps to its share of a machine, and says when that was too little.

Ray reserves shares, and enforces none. What PyTorch allocates on the GPU is capped here, so that a
process that runs out of memory takes none of its neighbours'.
"""

import gc
from collections.abc import Iterator

import torch

from spaces.files.errors import TrainingError

# A trial's outcome that another try with more memory may not meet.
OUT_OF_MEMORY = "out_of_memory"
MIB = 2**20
# Of errors that are no torch.OutOfMemoryError: the CPU's allocator, the driver, cuBLAS, cuDNN, and
# what PyTorch says where these had no memory for a handle or a work space.
OUT_OF_MEMORY_TEXTS = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "DEVICE_ALLOCATION_FAILED",
    "unable to find an engine to execute this computation",
    "Unable to find a valid cuDNN algorithm",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a GPU, or the machine, has no memory left for this process.

    One that another error led to counts as that: `torch.compile` raises errors of its own.
    """
    return any(_is_memory_error(each) for each in error_chain(error))


def _is_memory_error(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        text in str(error) for text in OUT_OF_MEMORY_TEXTS
    )


def error_chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it came of, hidden ones too: the compiler hides what it met."""
    seen: set[int] = set()
    next_: BaseException | None = error
    while next_ is not None and id(next_) not in seen:
        seen.add(id(next_))
        yield next_
        next_ = next_.__cause__ or next_.__context__


def release_memory() -> None:
    """Gives back what tensors that nobody holds any more have taken."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def memory_fraction(share: float, *, context_bytes: int, total_bytes: int) -> float:
    """The part of a GPU's memory that PyTorch may allocate in a process with this share of it.

    Args:
        share: Of a GPU; 1 or more for whole ones.
        context_bytes: What the process takes beside PyTorch's allocator.
        total_bytes: The GPU's memory.

    Raises:
        TrainingError: The share holds no more than that.
    """
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
    """The number of a CUDA device, of the current one where it has none.

    Some functions of `torch.cuda` refuse a device without a number.
    """
    return torch.cuda.current_device() if device.index is None else device.index


def cap_memory(device: torch.device, share: float, context_bytes: int) -> None:
    """Lets PyTorch allocate no more on the device than the share; before anything is allocated.

    A process that had another share before has this one from now on. On a CPU nothing is done.

    Args:
        device: Where the process will train.
        share: Of a GPU; 1 or more for whole ones.
        context_bytes: What the process takes beside PyTorch's allocator.

    Raises:
        TrainingError: The share is too small for any training.
    """
    if device.type != "cuda":
        return
    total_bytes = torch.cuda.get_device_properties(device).total_memory
    fraction = memory_fraction(share, context_bytes=context_bytes, total_bytes=total_bytes)
    torch.cuda.set_per_process_memory_fraction(fraction, gpu_index(device))


def set_compute_threads(num_threads: int) -> None:
    """Lets PyTorch compute with so many threads in this process, one operator at a time."""
    torch.set_num_threads(num_threads)
    if torch.get_num_interop_threads() != 1:
        try:
            torch.set_num_interop_threads(1)
        except RuntimeError:
            # PyTorch starts that pool once a process, and this one had used it: it stays as it is.
            return
