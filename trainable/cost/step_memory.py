"""Memory of a training step and of validation: measured on a GPU, estimated elsewhere.

The estimate runs the step on PyTorch's meta device, which computes nothing and allocates nothing,
and counts the bytes of the live storages: weights, gradients, Adam's two moments, tensors saved
for the backward pass, temporary tensors, and the frozen teacher. Not included: PyTorch's rounding
to blocks and the workspaces of cuBLAS and cuDNN (some tens of MiB). An LSTM is counted as its
single operators (see `trainable.cost.macs`), not as the fused cuDNN kernel.

Shapes: B batch, T frames, F mel bins.
"""

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models.shapes_only import META
from trainable.config.trial_config import TrialConfig
from trainable.cost.placeholder_teacher import placeholder_teacher
from trainable.cost.random_input_step import CPU, RandomInputStep, TeacherOrPlaceholder
from trainable.features.crop_bank import TargetsConfig
from trainable.machine.engine import (
    DEFAULT_ENGINE,
    Engine,
    EngineConfig,
    resolve_engine,
    set_determinism,
)
from trainable.teachers.network import Teacher
from trainable.verification.evaluation import EVAL_BATCH

# If a step can only be counted by really computing it, it runs at these two batch sizes, and its
# bytes are extrapolated linearly to the trial's.
SMALL_BATCHES = (8, 16)
VALIDATION_CROPS = EVAL_BATCH["cuda"]
DEFAULT_TARGETS = TargetsConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeSettings:
    """The settings that the memory of a search's training steps depends on.

    Attributes:
        engine: Precision and compilation.
        targets: Whether a network teacher runs in every step or its targets are stored.
    """

    engine: EngineConfig = DEFAULT_ENGINE
    targets: TargetsConfig = DEFAULT_TARGETS

    def loaded_teacher(self, teacher: Teacher, config: TrialConfig) -> TeacherOrPlaceholder:
        """Return what a trial holds of a network teacher: the network, or only a placeholder."""
        return teacher if self.targets.mode == "online" else placeholder_teacher(teacher, config)


class StepMemory(NamedTuple):
    """The peak memory of tensors during a training step, and during validation.

    Attributes:
        num_bytes: Bytes of the whole step.
        is_estimated: True if they were counted, False if they were measured on a GPU.
        validation_bytes: Bytes of a pass of validation, what training holds meanwhile included.
        is_captured: Whether the step is recorded (`engine.capture`), so that its memory stays its
            own during validation.
    """

    num_bytes: int
    is_estimated: bool
    validation_bytes: int = 0
    is_captured: bool = False

    @property
    def most_bytes(self) -> int:
        """Bytes that a trial needs: of the step or of validation, of both if it is captured."""
        if self.is_captured:
            return self.num_bytes + self.validation_bytes
        return max(self.num_bytes, self.validation_bytes)


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context in which the bytes of a device's tensors are counted.

    A storage counts once, however many tensors view it, from its first use inside the context
    until it is freed.

    Args:
        device: Tensors elsewhere are not counted.

    Attributes:
        live: Bytes in use now.
        peak: Most bytes in use since the last `reset_peak`.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device_type = device.type
        self._size_of: dict[int, int] = {}
        self.live = 0
        self.peak = 0

    def reset_peak(self) -> None:
        """Set the peak to the bytes in use now."""
        self.peak = self.live

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operator and count what it returns."""
        del types
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device.type == self._device_type:
                self._count(leaf)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        # The address of the storage, which all its views share.
        key = storage._cdata
        if key in self._size_of:
            return
        self._size_of[key] = storage.nbytes()
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._uncount, key)

    def _uncount(self, key: int) -> None:
        self.live -= self._size_of.pop(key)


def step_memory(
    config: TrialConfig,
    teacher: TeacherOrPlaceholder | None,
    *,
    num_speakers: int,
    device: torch.device,
    engine: EngineConfig = DEFAULT_ENGINE,
) -> StepMemory:
    """Measure or estimate one training step, and a pass of validation, of a trial.

    Args:
        config: The trial.
        teacher: Needed if the trial distils; it is copied, and stays on its device.
        num_speakers: Rows of the classifier, unless the loss uses the teacher's classifier.
        device: On a CUDA device the step is measured; for any other it is estimated.
        engine: Precision and compilation of a measured step; an estimate is for float32.

    Raises:
        TrainingError: The loss needs a teacher, or the teacher does not fit the trial.
    """
    if device.type == "cuda":
        try:
            set_determinism(engine, device)
            engine_there = resolve_engine(engine, device)
            found = _measured(config, teacher, num_speakers, engine_there)
            return found._replace(is_captured=engine.capture)
        except torch.cuda.OutOfMemoryError:
            # The step does not fit this GPU, so its size can only be estimated.
            torch.cuda.empty_cache()
    return _estimated(config, teacher, num_speakers)._replace(is_captured=engine.capture)


def _measured(
    config: TrialConfig, teacher: TeacherOrPlaceholder | None, num_speakers: int, engine: Engine
) -> StepMemory:
    device = engine.device
    # Reserved bytes, since a trial's cap counts these. What this process holds already is not part
    # of the step; what it has freed would be used again, and so not counted.
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved(device)
    step = RandomInputStep(config, teacher, num_speakers, engine)
    # The first step is not typical: before it there are no gradients and no moments.
    step.run(config.training.batch_size)
    step_bytes = _peak_reserved(lambda: step.run(config.training.batch_size), device)
    validation_bytes = _peak_reserved(lambda: step.validate(VALIDATION_CROPS), device)
    return StepMemory(step_bytes - before, False, validation_bytes - before)


def _peak_reserved(work: Callable[[], None], device: torch.device) -> int:
    """Return the most bytes that PyTorch reserves during some work."""
    torch.cuda.empty_cache()  # blocks of earlier work would count
    torch.cuda.reset_peak_memory_stats(device)
    work()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_reserved(device))


def _estimated(
    config: TrialConfig, teacher: TeacherOrPlaceholder | None, num_speakers: int
) -> StepMemory:
    wanted = (config.training.batch_size, VALIDATION_CROPS)
    try:
        peaks = live_peaks(config, teacher, num_speakers, wanted, META)
        return StepMemory(peaks[0], True, peaks[1])
    except (NotImplementedError, RuntimeError):
        # The network's code reads values or fixes the device, so it cannot run on the meta device.
        small, large = (
            live_peaks(config, teacher, num_speakers, (size, size), CPU) for size in SMALL_BATCHES
        )
    step_bytes, validation_bytes = (
        round(
            few + (many - few) / (SMALL_BATCHES[1] - SMALL_BATCHES[0]) * (num - SMALL_BATCHES[0])
        )
        for few, many, num in zip(small, large, wanted, strict=True)
    )
    return StepMemory(step_bytes, True, validation_bytes)


def live_peaks(
    config: TrialConfig,
    teacher: TeacherOrPlaceholder | None,
    num_speakers: int,
    sizes: tuple[int, int],
    device: torch.device,
) -> tuple[int, int]:
    """Return the peaks of live bytes, in a training step after the first one and in a validation.

    Args:
        config: The trial; its own batch size is not used.
        teacher: It is copied, and stays on its device.
        num_speakers: Rows of the classifier, unless the loss uses the teacher's classifier.
        sizes: Crops of the step, and of a pass of validation.
        device: `meta`, where the step costs nothing, or `cpu`.
    """
    counted = LiveBytes(device)
    with counted:
        step = RandomInputStep(config, teacher, num_speakers, Engine(device=device))
        step.run(sizes[0])
        counted.reset_peak()
        step.run(sizes[0])
        step_bytes = counted.peak
        counted.reset_peak()
        step.validate(sizes[1])
    return step_bytes, counted.peak
