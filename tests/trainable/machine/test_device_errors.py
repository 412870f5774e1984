
import pytest
import torch

from spaces.files.errors import DeviceError
from trainable.machine.device_errors import device_error

ILLEGAL = (
    "CUDA error: an illegal memory access was encountered\nSearch for `cudaErrorIllegalAddress'\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the "
    "stacktrace below might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError(ILLEGAL),
        RuntimeError(ILLEGAL),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
        RuntimeError("NCCL Error 1: unhandled cuda error"),
        RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"),
    ],
)
def test_device_error_is_recognised(error):
    found = device_error(error)
    assert isinstance(found, DeviceError)
    assert "debugging" not in str(found)
    assert str(found).startswith(type(error).__name__)


def test_message_leaves_out_the_advice_of_cuda():
    assert str(device_error(RuntimeError(ILLEGAL))) == (
        "RuntimeError: CUDA error: an illegal memory access was encountered Search for "
        "`cudaErrorIllegalAddress'"
    )


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"),
        ValueError("CUDA error: no error of PyTorch's"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
    ],
)
def test_running_out_of_memory_and_other_errors_are_no_device_errors(error):
    assert device_error(error) is None


def test_device_error_that_another_error_hides_is_found():
    error = ValueError("the compiler failed")
    error.__context__, error.__suppress_context__ = RuntimeError(ILLEGAL), True
    assert str(device_error(error)).startswith("RuntimeError: CUDA error: an illegal")
