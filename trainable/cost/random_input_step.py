"""A training step on random input, to measure what it costs.

Shapes: B batch, T frames, F mel bins.
"""

import copy

import numpy as np
import torch
from torch import Tensor

from models import build_model
from models.custom_config import CustomModelConfig
from models.shapes_only import META, building_on
from trainable.config.trial_config import TrainingConfig, TrialConfig
from trainable.cost.macs import with_parallel_lstms
from trainable.cost.placeholder_teacher import PlaceholderTeacher
from trainable.loss.distillation import LABEL_LEVEL
from trainable.loss.objective import Objective
from trainable.loss.teacher_output import Crops
from trainable.machine.engine import Engine
from trainable.step.batch import Batch
from trainable.step.optimizers import moments_of
from trainable.step.step import TrainingStep
from trainable.teachers.network import Teacher
from trainable.verification.evaluation import USUAL_FRAMES

CPU = torch.device("cpu")

TeacherOrPlaceholder = Teacher | PlaceholderTeacher


class RandomInputStep:
    """A trial's training step on random crops.

    The first step allocates gradients and the optimizer's moments; later steps are typical.

    Attributes:
        student: The network.
        objective: Its loss.
        step: The training step.
    """

    def __init__(
        self,
        config: TrialConfig,
        teacher: TeacherOrPlaceholder | None,
        num_speakers: int,
        engine: Engine,
    ) -> None:
        self._config = config
        self._engine = engine
        self._device = device = engine.device
        if config.loss.distill_weight == 0:
            teacher = None
        # Building and running must not change the random numbers of a training in this process.
        forked = [device] if device.type == "cuda" else []
        # Building a user's model runs it once as a check, which does not work on the meta device.
        builds_on = CPU if isinstance(config.model, CustomModelConfig) else device
        with torch.random.fork_rng(devices=forked), building_on(device):
            with builds_on:
                student = build_model(config.model).to(device)
            if teacher is not None:
                # A copy, since `Module.to` moves in place, and the caller's must stay where it is.
                teacher = copy.deepcopy(teacher).to(device)
            if device == META:
                # One operator per frame would take seconds there; see `macs`.
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
        # An average takes the same memory whatever an epoch's number of steps.
        self.step = TrainingStep(student, objective, config.training, engine, steps_per_epoch=1)

    def run(self, batch_size: int) -> None:
        """Run one step.

        Args:
            batch_size: Crops of the step.
        """
        feat_BTF = self._crops(batch_size)
        speaker_B = torch.arange(batch_size, device=self._device) % self._num_speakers
        unused_B = np.zeros(batch_size, np.int64)
        crops = Crops(feat_BTF, unused_B, unused_B)
        self.step.run(Batch(feat_BTF, crops, speaker_B))

    @torch.inference_mode()
    def validate(self, num_crops: int) -> None:
        """Run one pass of validation.

        Args:
            num_crops: Crops of the pass.
        """
        network = self.step.evaluated.eval()
        with self._engine.autocast():
            network.embed(self._crops(num_crops, network.num_frames or USUAL_FRAMES))

    def _crops(self, batch_size: int, num_frames: int | None = None) -> Tensor:
        num_frames = num_frames or self._config.training.longest_crop_frames
        shape = (batch_size, num_frames, self._config.model.num_mels)
        if self._device == META:
            return torch.empty(shape, device=META)
        generator = torch.Generator(self._device).manual_seed(0)
        return torch.randn(shape, device=self._device, generator=generator)


def step_size_key(training: TrainingConfig) -> tuple[object, ...]:
    """Return the settings of a training that the memory of its steps depends on."""
    return (
        training.batch_size,
        training.accumulate_steps,
        training.longest_crop_frames,
        moments_of(training),
        training.is_averaged,
    )


def _speakers(
    config: TrialConfig, teacher: TeacherOrPlaceholder | None, num_speakers: int
) -> tuple[str, ...]:
    """Return names of the classes: the teacher's if labels are compared, else made-up ones."""
    compares_labels = config.loss.distillation in LABEL_LEVEL
    if teacher is not None and teacher.centres is not None and compares_labels:
        return teacher.centres.speakers
    return tuple(str(number) for number in range(num_speakers))
