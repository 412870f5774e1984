"""Which device a setting stands for, and the GPUs that are seen and cannot be used."""

from collections.abc import Iterator

import pytest
import torch

from spaces.files.errors import ConfigError, TrainingError
from trainable.machine import gpus
from trainable.machine.gpus import driver_version, why_not_built, why_unusable
from trainable.machine.hardware import choose_device, describe_gpu_software, trial_device

TOO_OLD = "The NVIDIA driver on your system is too old (found version 12020)."


class MadeUpNvml:
    """NVIDIA's library of management, as far as it is asked.

    Args:
        version: The driver's version; None where the library cannot be started.
    """

    def __init__(self, version: str | None) -> None:
        self._version = version

    def nvmlInit_v2(self) -> int:  # noqa: N802 - the library's name
        return 0 if self._version else 9

    def nvmlSystemGetDriverVersion(self, text: object, most: int) -> int:  # noqa: N802
        assert len(self._version) < most
        text.value = self._version.encode()
        return 0


@pytest.fixture
def old_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs that NVML counts, with a driver for CUDA 12 under a PyTorch for CUDA 13."""

    def init() -> None:
        raise RuntimeError(TOO_OLD)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(gpus.ctypes, "CDLL", lambda name: MadeUpNvml("535.104.05"))  # noqa: ARG005


@pytest.fixture
def tf32(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A usable GPU, in a process with TF32 on."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [each.allow_tf32 for each in backends]
    for backend in backends:
        backend.allow_tf32 = True
    yield
    for backend, value in zip(backends, before, strict=True):
        backend.allow_tf32 = value


@pytest.mark.usefixtures("old_driver")
def test_a_driver_that_is_too_old_is_named_with_the_cuda_that_torch_needs() -> None:
    why = why_unusable()
    assert why.startswith(f"2 GPUs are here that torch {torch.__version__}, built for CUDA 13.0,")
    assert TOO_OLD.rstrip(".") in why
    assert "CUDA 13 needs driver 580 or later, and this is 535.104.05: update the driver" in why


@pytest.mark.usefixtures("old_driver")
@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_a_gpu_that_is_seen_and_cannot_be_used_is_not_passed_over(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"device is {name}, but 2 GPUs .* set device: cpu"):
        choose_device(name)
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.usefixtures("old_driver")
def test_a_trial_on_a_gpu_with_an_old_driver_names_the_driver() -> None:
    with pytest.raises(TrainingError, match=r"given 0.25 GPUs, but 2 GPUs .* driver 580 or later"):
        trial_device("auto", 0.25)


@pytest.mark.usefixtures("old_driver")
@pytest.mark.parametrize(
    ("version", "cuda", "fix"),
    [
        ("590.48", "13.0", "the driver is 590.48; see if `nvidia-smi` works"),
        (None, "13.0", "install a driver that fits"),
        ("590.48", None, "install a driver that fits"),
    ],
)
def test_another_cause_is_not_taken_for_an_old_driver(
    monkeypatch: pytest.MonkeyPatch, version: str | None, cuda: str | None, fix: str
) -> None:
    monkeypatch.setattr(gpus.ctypes, "CDLL", lambda name: MadeUpNvml(version))  # noqa: ARG005
    monkeypatch.setattr(torch.version, "cuda", cuda)
    assert fix in why_unusable()


def test_without_the_library_there_is_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "NVML", "libnvidia-nowhere.so.1")
    assert driver_version() is None
    assert why_unusable() is None
    assert describe_gpu_software()["gpu_driver"] is None


def test_a_torch_without_cuda_beside_a_gpu_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpus.ctypes, "CDLL", lambda name: MadeUpNvml("535.104.05"))  # noqa: ARG005
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    assert "version 535.104.05" in why_not_built()
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    assert why_not_built() is None


@pytest.mark.usefixtures("tf32")
@pytest.mark.parametrize("on_gpu", [True, False])
@pytest.mark.parametrize("choose", [choose_device, lambda name: trial_device(name, 1)])
def test_float32_on_a_gpu_has_all_its_bits(choose: object, on_gpu: bool) -> None:
    device = choose("auto" if on_gpu else "cpu")
    assert device == torch.device("cuda" if on_gpu else "cpu")
    assert torch.backends.cuda.matmul.allow_tf32 is not on_gpu
    assert torch.backends.cudnn.allow_tf32 is not on_gpu


@pytest.mark.parametrize(("device", "num_gpus"), [("cpu", 0), ("cpu", 0.5), ("auto", 0)])
def test_trial_computes_on_the_cpu_unless_it_was_given_a_gpu(device: str, num_gpus: float) -> None:
    assert trial_device(device, num_gpus) == torch.device("cpu")


@pytest.mark.parametrize(("device", "num_gpus"), [("auto", 0.25), ("cuda", 1)])
def test_gpu_that_torch_cannot_use_is_an_error_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, device: str, num_gpus: float
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    message = rf"given {num_gpus:g} GPUs, but torch .* sees none: .* set device: cpu"
    with pytest.raises(TrainingError, match=message):
        trial_device(device, num_gpus)
