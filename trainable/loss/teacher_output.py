"""The interface of teachers: the crops they get, the output they return, the trials they fit.

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

# Speakers or crops that a message lists before it ends in "...".
MAX_LISTED = 3



@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerCentres:
    """The classifier of a trained model.

    Attributes:
        weight_KD: One centre per speaker.
        scale: Factor on the cosines.
        speakers: Names; the position is the row of `weight_KD`.
    """

    weight_KD: Tensor
    scale: float
    speakers: tuple[str, ...]

    def to(self, device: torch.device) -> "SpeakerCentres":
        """Return the same centres on a device."""
        return replace(self, weight_KD=self.weight_KD.to(device))

    def logits(self, embedding_BD: Tensor) -> Tensor:
        """Return the scaled cosines without margin, (B, K)."""
        return cosine_logits(embedding_BD, self.weight_KD, self.scale)

    def of(self, speakers: tuple[str, ...]) -> "SpeakerCentres":
        """Return the centres in the order of these speakers.

        Raises:
            TrainingError: They are not the same speakers; the message has the differing ones.
        """
        own, wanted = set(self.speakers), set(speakers)
        if own != wanted:
            raise TrainingError(
                "loss.distillation kl and dkd compare speaker labels, so teacher and student must "
                f"be trained on the same speakers: {_some(own - wanted)} only the teacher's, "
                f"{_some(wanted - own)} only the student's; train the teacher on this list, or "
                "distil embeddings (mse, cosine, rkd, infonce)"
            )
        # The student's classes follow its own list, which may have another order.
        row_of = {speaker: row for row, speaker in enumerate(self.speakers)}
        weight_KD = self.weight_KD[[row_of[speaker] for speaker in speakers]]
        return replace(self, weight_KD=weight_KD, speakers=speakers)


class TeacherOutput(NamedTuple):
    """What a teacher computes for a batch of crops.

    Attributes:
        embedding_BD: Not normalised.
        stages: Averaged over time, (B, C) each, first layer first; empty unless requested.
    """

    embedding_BD: Tensor
    stages: tuple[Tensor, ...]


class Crops(NamedTuple):
    """A batch of training crops and their positions.

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
    """The properties of a teacher that decide which trials it fits.

    Attributes:
        embedding_dim: Size of the embedding; None if it is not known yet.
        centres: The classifier; None if the teacher has none.
        has_stages: Whether the output has the stages of blocks or layers.
        crop_frames: The only crop length that it has outputs for, frames; None for any length.
        is_looked_up: Whether the outputs are stored, so that no step computes them.
    """

    embedding_dim: int | None
    centres: SpeakerCentres | None
    has_stages: bool
    crop_frames: int | None
    is_looked_up: bool = False


class AnyTeacher(Protocol):
    """What the training loop needs from any kind of teacher."""

    @property
    def facts(self) -> TeacherFacts:
        """The properties that decide which trials it fits."""

    def to(self, device: torch.device) -> "AnyTeacher":
        """Return the teacher with its outputs on a device."""

    def stage_dims(self, feat_BTF: Tensor) -> tuple[int, ...]:
        """Return the channels of each stage before the embedding; empty without stages."""

    def draw_starts(self, rng: np.random.Generator, row_N: Index, latest_N: Index) -> Index:
        """Draw the first frame of one crop of each utterance, each from 0 to `latest_N`."""

    def output(self, crops: Crops, *, with_stages: bool) -> TeacherOutput:
        """Return the teacher's output for these crops, without gradients."""


def random_starts(rng: np.random.Generator, latest_N: Index) -> Index:
    """Draw starts uniformly from 0 to the latest one, inclusive."""
    # `integers` excludes its upper end.
    return rng.integers(0, latest_N + 1)


def require_fit(
    loss: LossConfig,
    facts: TeacherFacts,
    *,
    embedding_dim: int,
    crop_frames: int,
    speakers: tuple[str, ...] | None,
) -> None:
    """Refuse a teacher that does not fit a trial; a trial without distillation accepts any.

    Args:
        loss: The trial's loss.
        facts: The teacher's facts.
        embedding_dim: Size of the student's embedding.
        crop_frames: Frames of the trial's training crops.
        speakers: Training speakers; None before the train list is read.

    Raises:
        TrainingError: It does not fit; the message has the reason.
    """
    if loss.distill_weight == 0:
        return
    # Only the stages before the embedding have projections.
    if facts.embedding_dim not in (None, embedding_dim):
        raise TrainingError(
            f"model.embedding_dim must equal the teacher's ({facts.embedding_dim}), "
            f"got {embedding_dim}"
        )
    if loss.distillation in LABEL_LEVEL:
        if facts.centres is None:
            raise TrainingError(
                f"loss.distillation {loss.distillation!r} needs the teacher's classifier, but "
                "this teacher has none; distil embeddings (mse, cosine, rkd, infonce)"
            )
        if speakers is not None:
            facts.centres.of(speakers)
    if loss.stages != "none" and not facts.has_stages:
        raise no_stages_error(loss)
    if facts.crop_frames not in (None, crop_frames):
        raise TrainingError(
            f"training.crop_frames must equal the length of the teacher's stored crops "
            f"({facts.crop_frames}), got {crop_frames}; change one of them"
        )


def no_stages_error(loss: LossConfig) -> TrainingError:
    """Return the error for multi-stage distillation from a teacher without stages."""
    return TrainingError(
        f"loss.stages {loss.stages!r} needs a teacher with stages, and this one has an embedding "
        "only; set loss.stages to none"
    )


def _some(speakers: set[str]) -> str:
    """Return the number of speakers and the names of the first ones."""
    names = ", ".join(sorted(speakers)[:MAX_LISTED])
    more = ", ..." if len(speakers) > MAX_LISTED else ""
    return f"{len(speakers)} ({names}{more})" if speakers else "none"
