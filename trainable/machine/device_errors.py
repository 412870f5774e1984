"""Errors of a GPU, its driver or its libraries, that the config of a trial does not cause.

After a CUDA error the context of the process is lost: every later call fails too, so the process
must not be used again (CUDA C++ Programming Guide, "Error Checking": errors other than those of
arguments and memory are sticky).
"""

import torch

from spaces.files.errors import DeviceError
from trainable.machine.memory_share import error_chain, is_out_of_memory

MAX_MESSAGE_CHARS = 300
# Texts of errors that PyTorch raises as plain RuntimeError: from the driver, Triton, the
# libraries, NCCL.
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
    "CUSOLVER_STATUS_EXECUTION_FAILED",
    "CUSOLVER_STATUS_INTERNAL_ERROR",
    "Triton Error [CUDA]:",
    "NCCL error",
    "NCCL Error",
)


def device_error(error: BaseException) -> DeviceError | None:
    """Return the device error that caused an error, None if there is none.

    Running out of memory is no device error: the process can go on after it.
    """
    if is_out_of_memory(error):
        return None
    for each in error_chain(error):
        if _is_device_error(each):
            return DeviceError(f"{type(each).__name__}: {one_line_message(each)}")
    return None


def one_line_message(error: BaseException) -> str:
    """Return the message of an error on one short line, without CUDA's advice on debugging."""
    text = str(error).partition("CUDA kernel errors might be")[0]
    return " ".join(text.split())[:MAX_MESSAGE_CHARS] or type(error).__name__


def _is_device_error(error: BaseException) -> bool:
    if isinstance(error, torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in DEVICE_TEXTS)
