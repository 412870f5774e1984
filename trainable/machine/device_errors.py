"""Errors inside a trial that say nothing of its config.

After an error of CUDA's the process's context is lost: every later call fails too, so the process
must not be used again (CUDA C++ Programming Guide, "Error Checking": errors other than those of
arguments and memory are sticky).
"""

import torch

from spaces.files.errors import DeviceError
from trainable.machine.memory_share import error_chain, is_out_of_memory

MAX_MESSAGE_CHARS = 300
# Of errors that are no torch.AcceleratorError: the driver's, the libraries', and NCCL's.
DEVICE_TEXTS = (
    "CUDA error:",
    "CUDA driver error:",
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_INTERNAL_ERROR",
    "CUBLAS_STATUS_MAPPING_ERROR",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_MAPPING_ERROR",
    "CUFFT_EXEC_FAILED",
    "CUFFT_INTERNAL_ERROR",
    "NCCL error",
    "NCCL Error",
)


def device_error(error: BaseException) -> DeviceError | None:
    """The fault of a GPU, its driver or its libraries that an error came of, None if of none.

    Too little memory is none: the process goes on after it.
    """
    if is_out_of_memory(error):
        return None
    for each in error_chain(error):
        if _is_device_error(each):
            return DeviceError(f"{type(each).__name__}: {one_line_message(each)}")
    return None


def one_line_message(error: BaseException) -> str:
    """What an error says, short; of CUDA's advice on debugging nothing."""
    text = str(error).partition("CUDA kernel errors might be")[0]
    return " ".join(text.split())[:MAX_MESSAGE_CHARS] or type(error).__name__


def _is_device_error(error: BaseException) -> bool:
    if isinstance(error, torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in DEVICE_TEXTS)
