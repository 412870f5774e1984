"""Memory of a training step: measured on a GPU, estimated elsewhere.

The estimate runs the step on PyTorch's meta device, which computes nothing and holds nothing, and
counts the bytes of the storages that are alive: weights, gradients, Adam's two moments, what is
saved for the backward pass, what passes take and give back, and the frozen teacher. Not in it:
PyTorch's rounding to blocks and the work space of cuBLAS and cuDNN (some tens of MiB). An LSTM
counts as the operators that it is made of (see `trainable.cost.macs`), not as cuDNN has it.

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

from trainable.config.trial_config import TrialConfig
from trainable.cost.placeholder_teacher import placeholder_teacher
from trainable.cost.random_input_step import CPU, META, RandomInputStep, TeacherOrPlaceholder
from trainable.features.crop_bank import TargetsConfig
from trainable.machine.engine import DEFAULT_ENGINE, Engine, EngineConfig, resolve_engine
from trainable.teachers.network import Teacher

# Batches from which the bytes of a step are extended in a straight line, where it takes real work.
SMALL_BATCHES = (8, 16)


DEFAULT_TARGETS = TargetsConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeSettings:
    """How a search's trials are computed, as far as the memory of their steps depends on it.

    Attributes:
        engine: Precision and compilation.
        targets: How a teacher that is a network is asked.
    """

    engine: EngineConfig = DEFAULT_ENGINE
    targets: TargetsConfig = DEFAULT_TARGETS

    def loaded_teacher(self, teacher: Teacher, config: TrialConfig) -> TeacherOrPlaceholder:
        """What a trial holds of a network: all of it, or its answers alone."""
        return teacher if self.targets.mode == "online" else placeholder_teacher(teacher, config)


class StepMemory(NamedTuple):
    """The most memory that tensors take during a training step.

    Attributes:
        num_bytes: Of the whole step.
        is_estimated: Whether it was counted and not measured on a GPU.
    """

    num_bytes: int
    is_estimated: bool


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of a device's tensors while it is entered.

    A storage counts once, however many tensors view it, from its first use in here until nothing
    holds it any more.

    Args:
        device: Tensors elsewhere are not counted.

    Attributes:
        live: Bytes that are held now.
        peak: The most that were held since the last `reset_peak`.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device_type = device.type
        self._size_of: dict[int, int] = {}
        self.live = 0
        self.peak = 0

    def reset_peak(self) -> None:
        """Forget what was held before."""
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
    """The memory of one training step at the trial's batch size and crop length.

    Args:
        config: The trial.
        teacher: Left where it is; needed where the trial distils.
        num_speakers: Rows of the classifier, where the teacher's own are not needed.
        device: A CUDA device is measured; for any other the bytes are estimated.
        engine: How trials will be computed; an estimate is of float32.

    Raises:
        TrainingError: The loss needs a teacher, or one of another kind.
    """
    if device.type == "cuda":
        try:
            engine_there = resolve_engine(engine, device)
            return StepMemory(_measured(config, teacher, num_speakers, engine_there), False)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
    return StepMemory(_estimated(config, teacher, num_speakers), True)


def _measured(
    config: TrialConfig, teacher: TeacherOrPlaceholder | None, num_speakers: int, engine: Engine
) -> int:
    device = engine.device
    before = torch.cuda.memory_allocated(device)
    step = RandomInputStep(config, teacher, num_speakers, engine)
    step.run(config.training.batch_size)
    torch.cuda.reset_peak_memory_stats(device)
    step.run(config.training.batch_size)
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device) - before)


def _estimated(
    config: TrialConfig, teacher: TeacherOrPlaceholder | None, num_speakers: int
) -> int:
    batch_size = config.training.batch_size
    try:
        return live_peak(config, teacher, num_speakers, batch_size, META)
    except (NotImplementedError, RuntimeError):
        # A network whose code reads values or fixes the device; it runs on the CPU, if at all.
        small, large = (
            live_peak(config, teacher, num_speakers, size, CPU) for size in SMALL_BATCHES
        )
    a_crop = (large - small) / (SMALL_BATCHES[1] - SMALL_BATCHES[0])
    return round(small + a_crop * (batch_size - SMALL_BATCHES[0]))


def live_peak(
    config: TrialConfig,
    teacher: TeacherOrPlaceholder | None,
    num_speakers: int,
    batch_size: int,
    device: torch.device,
) -> int:
    """Bytes alive at the fullest moment of a training step after the first one.

    Args:
        config: The trial; its own batch size is not used.
        teacher: Left where it is.
        num_speakers: Rows of the classifier, where the teacher's own are not needed.
        batch_size: Crops of the step.
        device: `meta`, where the step costs nothing, or `cpu`.
    """
    counted = LiveBytes(device)
    with counted:
        step = RandomInputStep(config, teacher, num_speakers, Engine(device=device))
        step.run(batch_size)
        counted.reset_peak()
        step.run(batch_size)
    return counted.peak


