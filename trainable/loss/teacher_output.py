"""What a student learns from: what the loop asks of a teacher, and the one that is a network.

Shapes: B batch, N utterances, T frames, F mel bins, C channels, D embedding, K speakers.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from spaces.files.errors import TrainingError
from trainable.config.trial_config import LossConfig
from trainable.features.crop_bank import Index
from trainable.loss.distillation import LABEL_LEVEL
from trainable.loss.terms import cosine_logits

MAX_LISTED = 3



@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerCentres:
    """The classifier of a trained model.

    Attributes:
        weight_KD: One centre a speaker.
        scale: Factor on the cosines.
        speakers: Names; the position is the row of `weight_KD`.
    """

    weight_KD: Tensor
    scale: float
    speakers: tuple[str, ...]

    def to(self, device: torch.device) -> "SpeakerCentres":
        """The same on a device."""
        return replace(self, weight_KD=self.weight_KD.to(device))

    def logits(self, embedding_BD: Tensor) -> Tensor:
        """Scaled cosines without margin, (B, K)."""
        return cosine_logits(embedding_BD, self.weight_KD, self.scale)

    def of(self, speakers: tuple[str, ...]) -> "SpeakerCentres":
        """The centres in the order of these speakers.

        Raises:
            TrainingError: They are not the same speakers; with the number of those that differ.
        """
        own, wanted = set(self.speakers), set(speakers)
        if own != wanted:
            raise TrainingError(
                "loss.distillation kl and dkd compare speaker labels, so teacher and student must "
                f"be trained on the same speakers: {_some(own - wanted)} only the teacher's, "
                f"{_some(wanted - own)} only the student's; train the teacher on this list, or "
                "distil embeddings (mse, cosine, rkd, infonce)"
            )
        row_of = {speaker: row for row, speaker in enumerate(self.speakers)}
        weight_KD = self.weight_KD[[row_of[speaker] for speaker in speakers]]
        return replace(self, weight_KD=weight_KD, speakers=speakers)


class TeacherOutput(NamedTuple):
    """What a teacher computes for a batch of crops.

    Attributes:
        embedding_BD: Not normalised.
        stages: Averaged over time, (B, C) each, first layer first; empty unless asked for.
    """

    embedding_BD: Tensor
    stages: tuple[Tensor, ...]


class Crops(NamedTuple):
    """A batch of training crops, and where they lie.

    Attributes:
        feat_BTF: Log-mels before instance normalisation.
        row_B: Rows of the feature table.
        start_B: First frame of each crop, counted within its utterance.
        teacher_output: The teacher's output for them, where it was looked up in advance.
    """

    feat_BTF: Tensor
    row_B: Index
    start_B: Index
    teacher_output: TeacherOutput | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherFacts:
    """What decides which trials a teacher can teach.

    Attributes:
        embedding_dim: Size of its embedding, None where that is not known yet.
        centres: Its classifier, None where it has none.
        has_stages: Whether it shows its blocks or layers.
        crop_frames: The one crop length that it knows, frames; None where any will do.
    """

    embedding_dim: int | None
    centres: SpeakerCentres | None
    has_stages: bool
    crop_frames: int | None


class AnyTeacher(Protocol):
    """What the training loop asks of a teacher, whatever it is made of."""

    @property
    def facts(self) -> TeacherFacts:
        """What it can teach."""

    def to(self, device: torch.device) -> "AnyTeacher":
        """Return the teacher with its outputs on a device."""

    def stage_dims(self, feat_BTF: Tensor) -> tuple[int, ...]:
        """Channels of each stage before the embedding; empty without stages."""

    def draw_starts(self, rng: np.random.Generator, row_N: Index, latest_N: Index) -> Index:
        """The first frame of one crop of each utterance, each from 0 to `latest_N`."""

    def output(self, crops: Crops, *, with_stages: bool) -> TeacherOutput:
        """Return the teacher's output for these crops, without gradients."""


def random_starts(rng: np.random.Generator, latest_N: Index) -> Index:
    """Any start from 0 to the latest, each as likely."""
    return rng.integers(0, latest_N + 1)


def require_fit(
    loss: LossConfig,
    facts: TeacherFacts,
    *,
    embedding_dim: int,
    crop_frames: int,
    speakers: tuple[str, ...],
) -> None:
    """Refuse a teacher that cannot teach a trial; one without distillation takes any.

    Args:
        loss: The trial's.
        facts: The teacher's.
        embedding_dim: Of the student.
        crop_frames: Of the trial's training crops.
        speakers: Training speakers.

    Raises:
        TrainingError: It cannot; with the reason.
    """
    if loss.distill_weight == 0:
        return
    if facts.embedding_dim not in (None, embedding_dim):
        raise TrainingError(
            f"model.embedding_dim must equal the teacher's ({facts.embedding_dim}), "
            f"got {embedding_dim}"
        )
    if loss.distillation in LABEL_LEVEL:
        if facts.centres is None:
            raise TrainingError(
                f"loss.distillation {loss.distillation!r} needs the teacher's classifier, and "
                "this teacher is known without one; distil embeddings (mse, cosine, rkd, infonce)"
            )
        facts.centres.of(speakers)
    if loss.stages != "none" and not facts.has_stages:
        raise no_stages_error(loss)
    if facts.crop_frames not in (None, crop_frames):
        raise TrainingError(
            f"training.crop_frames must equal the length of the teacher's stored crops "
            f"({facts.crop_frames}), got {crop_frames}; change one of them"
        )


def no_stages_error(loss: LossConfig) -> TrainingError:
    """The error of multi-stage distillation from a teacher that has no stages."""
    return TrainingError(
        f"loss.stages {loss.stages!r} needs a teacher with stages, and this one has an embedding "
        "only; set loss.stages to none"
    )


def _some(speakers: set[str]) -> str:
    """How many, and the names of the first."""
    names = ", ".join(sorted(speakers)[:MAX_LISTED])
    more = ", ..." if len(speakers) > MAX_LISTED else ""
    return f"{len(speakers)} ({names}{more})" if speakers else "none"
