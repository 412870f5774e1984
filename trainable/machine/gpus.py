"""The NVIDIA GPUs of this machine: their driver, and why PyTorch cannot use them."""

import ctypes

import torch

from trainable.machine.device_errors import one_line_message

NVML = "libnvidia-ml.so.1"
# The first driver for every CUDA of a major version: NVIDIA, "CUDA Compatibility", Minor Version
# Compatibility.
FIRST_DRIVERS = {11: 450, 12: 525, 13: 580}
OTHER_BUILDS = "https://pytorch.org/get-started/locally"
MAX_VERSION_CHARS = 80


def driver_version() -> str | None:
    """Return the version of NVIDIA's driver; None without one. CUDA is not started for it."""
    text = ctypes.create_string_buffer(MAX_VERSION_CHARS)
    try:
        nvml = ctypes.CDLL(NVML)
        if nvml.nvmlInit_v2() or nvml.nvmlSystemGetDriverVersion(text, MAX_VERSION_CHARS):
            return None
    except (OSError, AttributeError):
        return None
    return text.value.decode(errors="replace")


def why_unusable() -> str | None:
    """Return why PyTorch cannot use the GPUs that it sees, and the fix; None if it can or none is.

    PyTorch counts GPUs by the driver, which may be too old for the CUDA that PyTorch needs.
    """
    num_seen = torch.cuda.device_count()
    if num_seen == 0 or torch.cuda.is_available():
        return None
    try:
        # Only the error of the start has the reason.
        torch.cuda.init()  # type: ignore[no-untyped-call]
        reason = "it gives no reason"
    except (RuntimeError, AssertionError) as error:
        reason = one_line_message(error).rstrip(".")
    gpus = "a GPU is" if num_seen == 1 else f"{num_seen} GPUs are"
    return (
        f"{gpus} here that torch {torch.__version__}, built for CUDA {torch.version.cuda}, cannot "
        f"use ({reason}); {_fix(driver_version(), torch.version.cuda)}"
    )


def why_not_built() -> str | None:
    """Return that PyTorch was built without CUDA where there is a GPU's driver, else None."""
    is_built = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]
    if is_built or (driver := driver_version()) is None:
        return None
    return (
        f"the driver of a GPU is here (version {driver}), but torch {torch.__version__} was built "
        f"without CUDA; install a torch build with CUDA ({OTHER_BUILDS}) to use the GPU"
    )


def why_none() -> str:
    """Return why PyTorch has no GPU where one was expected, and the fix."""
    return why_unusable() or why_not_built() or (
        f"torch {torch.__version__} sees none: the driver is missing, the GPUs are hidden "
        "(CUDA_VISIBLE_DEVICES), or Ray was given more of them than are there (--gpus)"
    )


def _fix(driver: str | None, cuda: str | None) -> str:
    other = f"install a torch built for another CUDA ({OTHER_BUILDS})"
    major = (cuda or "").partition(".")[0]
    first = FIRST_DRIVERS.get(int(major)) if major.isdigit() else None
    if driver is None or first is None:
        return f"install a driver that fits, or {other}"
    found = driver.partition(".")[0]
    if found.isdigit() and int(found) < first:
        return (
            f"CUDA {major} needs driver {first} or later, and this is {driver}: update the "
            f"driver, or {other}"
        )
    return f"the driver is {driver}; see if `nvidia-smi` works, or {other}"
