"""A teacher without a network whose outputs are zeros, to measure what a trial costs.

A trial with stored targets holds no teacher network: its cost is the same with this one.

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
        embedding_dim: Size of the embedding.
        stages: Channels of each stage before the embedding; empty if the trial compares none.
        centres: The classifier; None if the teacher has none.
    """

    embedding_dim: int
    stages: tuple[int, ...] = ()
    centres: SpeakerCentres | None = None

    @property
    def facts(self) -> TeacherFacts:
        """The facts of the real teacher, for crops of any length."""
        return TeacherFacts(
            embedding_dim=self.embedding_dim,
            centres=self.centres,
            has_stages=bool(self.stages),
            crop_frames=None,
        )

    def to(self, device: torch.device) -> "PlaceholderTeacher":
        """Return the same teacher with its classifier on a device."""
        if self.centres is None:
            return self
        return replace(self, centres=self.centres.to(device))

    def stage_dims(self, feat_BTF: Tensor) -> tuple[int, ...]:  # noqa: ARG002 - AnyTeacher's
        """Return the channels of each stage before the embedding."""
        return self.stages

    def draw_starts(self, rng: np.random.Generator, row_N: Index, latest_N: Index) -> Index:  # noqa: ARG002 - any crop will do
        """Return the first frame of a crop of each utterance, (N,), drawn uniformly."""
        return random_starts(rng, latest_N)

    def output(self, crops: Crops, *, with_stages: bool) -> TeacherOutput:
        """Return zeros on the device of the crops."""
        sizes = (self.embedding_dim, *(self.stages if with_stages else ()))
        embedding_BD, *stages = (
            crops.feat_BTF.new_zeros(len(crops.feat_BTF), size) for size in sizes
        )
        return TeacherOutput(embedding_BD, tuple(stages))


def placeholder_teacher(teacher: Teacher, config: TrialConfig) -> PlaceholderTeacher:
    """Return the placeholder for a network whose targets are stored.

    Args:
        teacher: The network; it embeds one crop if the trial compares stages.
        config: The trial.
    """
    stages: tuple[int, ...] = ()
    if config.loss.stages != "none":
        shape = (1, config.training.crop_frames, config.model.num_mels)
        stages = teacher.stage_dims(torch.zeros(shape))
    return PlaceholderTeacher(
        embedding_dim=teacher.model.embedding_dim, stages=stages, centres=teacher.centres
    )
