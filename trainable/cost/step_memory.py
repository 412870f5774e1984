"""Memory of a training step: measured on a GPU, estimated elsewhere.

The estimate runs the step on PyTorch's meta device, which computes nothing and holds nothing, and
counts the bytes of the storages that are alive: weights, gradients, Adam's two moments, what is
saved for the backward pass, what passes take and give back, and the frozen teacher. Not in it:
PyTorch's rounding to blocks and the work space of cuBLAS and cuDNN (some tens of MiB). An LSTM
counts as the operators that it is made of (see `trainable.cost.macs`), not as cuDNN has it.

Shapes: B batch, T frames, F mel bins.
"""

import copy
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models import build_model
from models.custom_config import CustomModelConfig
from trainable.config.trial_config import TrialConfig
from trainable.cost.macs import with_parallel_lstms
from trainable.cost.stand_in import StandIn, stand_in
from trainable.features.crop_bank import TargetsConfig
from trainable.loss.distillation import LABEL_LEVEL
from trainable.loss.objective import Objective
from trainable.loss.teacher_output import Crops, Teacher
from trainable.machine.engine import DEFAULT_ENGINE, Engine, EngineConfig, resolve_engine
from trainable.training.step import Batch, TrainingStep

META = torch.device("meta")
CPU = torch.device("cpu")
# Batches from which the bytes of a step are extended in a straight line, where it takes real work.
SMALL_BATCHES = (8, 16)


DEFAULT_TARGETS = TargetsConfig()
AskedTeacher = Teacher | StandIn


@dataclass(frozen=True, slots=True, kw_only=True)
class Computing:
    """How a search's trials are computed, as far as the memory of their steps depends on it.

    Attributes:
        engine: Precision and compilation.
        targets: How a teacher that is a network is asked.
    """

    engine: EngineConfig = DEFAULT_ENGINE
    targets: TargetsConfig = DEFAULT_TARGETS

    def asked(self, teacher: Teacher, config: TrialConfig) -> AskedTeacher:
        """What a trial holds of a network: all of it, or its answers alone."""
        return teacher if self.targets.mode == "online" else stand_in(teacher, config)


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
    teacher: AskedTeacher | None,
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
    config: TrialConfig, teacher: AskedTeacher | None, num_speakers: int, engine: Engine
) -> int:
    device = engine.device
    before = torch.cuda.memory_allocated(device)
    step = StepOnNoise(config, teacher, num_speakers, engine)
    step.run(config.training.batch_size)
    torch.cuda.reset_peak_memory_stats(device)
    step.run(config.training.batch_size)
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device) - before)


def _estimated(config: TrialConfig, teacher: AskedTeacher | None, num_speakers: int) -> int:
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
    teacher: AskedTeacher | None,
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
        step = StepOnNoise(config, teacher, num_speakers, Engine(device=device))
        step.run(batch_size)
        counted.reset_peak()
        step.run(batch_size)
    return counted.peak


class StepOnNoise:
    """A trial's training step, on crops of noise.

    The first step makes gradients and moments; the ones after it are like all others.

    Attributes:
        student: The network.
        objective: Its loss.
        step: What is done with a batch.
    """

    def __init__(
        self,
        config: TrialConfig,
        teacher: AskedTeacher | None,
        num_speakers: int,
        engine: Engine,
    ) -> None:
        self._config = config
        self._device = device = engine.device
        if config.loss.distill_weight == 0:
            teacher = None
        forked = [device] if device.type == "cuda" else []
        # A model of the person's own is tried out when it is built, which takes a real device.
        builds_on = CPU if isinstance(config.model, CustomModelConfig) else device
        with torch.random.fork_rng(devices=forked), device:
            with builds_on:
                student = build_model(config.model).to(device)
            if teacher is not None:
                teacher = copy.deepcopy(teacher).to(device)
            if device == META:
                with_parallel_lstms(student)
                if isinstance(teacher, Teacher):
                    with_parallel_lstms(teacher.model)
            objective = Objective(
                config.loss,
                student,
                teacher,
                speakers=_speakers(config, teacher, num_speakers),
                probe_BTF=self._crops(1),
            )
        self._num_speakers = objective.classifier.weight.shape[0]
        self.student, self.objective = student, objective
        self.step = TrainingStep(student, objective, config.training, engine)

    def run(self, batch_size: int) -> None:
        """One step."""
        feat_BTF = self._crops(batch_size)
        speaker_B = torch.arange(batch_size, device=self._device) % self._num_speakers
        nowhere_B = np.zeros(batch_size, np.int64)
        crops = Crops(feat_BTF, nowhere_B, nowhere_B)
        self.step.run(Batch(feat_BTF, crops, speaker_B))

    def _crops(self, batch_size: int) -> Tensor:
        shape = (batch_size, self._config.training.crop_frames, self._config.model.num_mels)
        generator = None if self._device == META else torch.Generator(self._device).manual_seed(0)
        return torch.randn(shape, device=self._device, generator=generator)


def _speakers(
    config: TrialConfig, teacher: AskedTeacher | None, num_speakers: int
) -> tuple[str, ...]:
    """Names of the classes: the teacher's where labels are compared, else any."""
    compares_labels = config.loss.distillation in LABEL_LEVEL
    if teacher is not None and teacher.centres is not None and compares_labels:
        return teacher.centres.speakers
    return tuple(str(number) for number in range(num_speakers))
