"""A teacher that says nothing of use, in the sizes of one whose answers are stored.

What it takes is what a trial with stored targets takes of a teacher: no network.

Shapes: B batch, T frames, F mel bins, C channels, D embedding.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trainable.config.trial_config import TrialConfig
from trainable.features.crop_bank import Index
from trainable.loss.teacher_output import (
    Crops,
    SpeakerCentres,
    TeacherFacts,
    TeacherOutput,
    random_starts,
)
from trainable.teachers.network import Teacher


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceholderTeacher:
    """A teacher whose outputs are zeros.

    Attributes:
        embedding_dim: Size of its embedding.
        stages: Channels of each stage before it; empty where no trial asks for them.
        centres: Its classifier, None where it has none.
    """

    embedding_dim: int
    stages: tuple[int, ...] = ()
    centres: SpeakerCentres | None = None

    @property
    def facts(self) -> TeacherFacts:
        """What it can teach."""
        return TeacherFacts(
            embedding_dim=self.embedding_dim,
            centres=self.centres,
            has_stages=bool(self.stages),
            crop_frames=None,
        )

    def to(self, device: torch.device) -> "PlaceholderTeacher":
        """The same with its classifier on a device."""
        if self.centres is None:
            return self
        return replace(self, centres=self.centres.to(device))

    def stage_dims(self, feat_BTF: Tensor) -> tuple[int, ...]:  # noqa: ARG002 - AnyTeacher's
        """Channels of each stage before the embedding."""
        return self.stages

    def draw_starts(self, rng: np.random.Generator, row_N: Index, latest_N: Index) -> Index:  # noqa: ARG002 - any crop will do
        """Random ones."""
        return random_starts(rng, latest_N)

    def output(self, crops: Crops, *, with_stages: bool) -> TeacherOutput:
        """Zeros on the device of the crops."""
        sizes = (self.embedding_dim, *(self.stages if with_stages else ()))
        embedding_BD, *stages = (
            crops.feat_BTF.new_zeros(len(crops.feat_BTF), size) for size in sizes
        )
        return TeacherOutput(embedding_BD, tuple(stages))


def placeholder_teacher(teacher: Teacher, config: TrialConfig) -> PlaceholderTeacher:
    """What stands in for a network, in a trial that finds its answers stored.

    Args:
        teacher: The network; asked about one crop where the trial compares stages.
        config: The trial.
    """
    stages: tuple[int, ...] = ()
    if config.loss.stages != "none":
        shape = (1, config.training.crop_frames, config.model.num_mels)
        stages = teacher.stage_dims(torch.zeros(shape))
    return PlaceholderTeacher(
        embedding_dim=teacher.model.embedding_dim, stages=stages, centres=teacher.centres
    )
