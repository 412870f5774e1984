"""What a student learns from.

Shapes: B batch, T frames, F mel bins, C channels, D embedding, K speakers.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from models import SpeakerModel
from trainable.checkpoint import load_speaker_model
from trainable.errors import CheckpointError, TrainingError
from trainable.losses import cosine_logits

NUM_NAMED = 3


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


class Lesson(NamedTuple):
    """What a teacher says about a batch of crops.

    Attributes:
        embedding_BD: Not normalised.
        stages: Averaged over time, (B, C) each, first layer first; empty unless asked for.
    """

    embedding_BD: Tensor
    stages: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A trained model, frozen: in eval mode and without gradients from here on.

    Attributes:
        model: The network.
        centres: Its classifier, None where the file does not have it.
    """

    model: SpeakerModel
    centres: SpeakerCentres | None = None

    def __post_init__(self) -> None:
        self.model.eval().requires_grad_(False)

    @property
    def embedding_dim(self) -> int:
        """Size of the embedding."""
        return self.model.embedding_dim

    def to(self, device: torch.device) -> "Teacher":
        """The teacher on a device; the network itself is moved there."""
        self.model.to(device)
        if self.centres is None:
            return self
        return replace(
            self, centres=replace(self.centres, weight_KD=self.centres.weight_KD.to(device))
        )

    @torch.no_grad()
    def teach(self, feat_BTF: Tensor, *, with_stages: bool = False) -> Lesson:
        """Embed crops of any length, log-mels before instance normalisation."""
        if not with_stages:
            return Lesson(self.model.embed(feat_BTF), ())
        *stages, embedding_BD = self.model.embed_stages(feat_BTF)
        return Lesson(embedding_BD, tuple(stages))


def load_teacher(path: Path) -> Teacher:
    """The teacher in a model file, or in the best epoch's of a run folder.

    Raises:
        CheckpointError: Missing, damaged, or the weights do not fit what the file says of them.
    """
    loaded = load_speaker_model(path)
    if loaded.centres_KD is None:
        return Teacher(model=loaded.model)
    expected = (len(loaded.speakers), loaded.model.embedding_dim)
    if loaded.centres_KD.shape != expected:
        raise CheckpointError(
            f"{loaded.file}: the classifier must be {expected[0]} speakers by {expected[1]} "
            f"dimensions, got {tuple(loaded.centres_KD.shape)}"
        )
    centres = SpeakerCentres(
        weight_KD=loaded.centres_KD, scale=loaded.config.loss.scale, speakers=loaded.speakers
    )
    return Teacher(model=loaded.model, centres=centres)


def _some(speakers: set[str]) -> str:
    """How many, and the names of the first."""
    names = ", ".join(sorted(speakers)[:NUM_NAMED])
    more = ", ..." if len(speakers) > NUM_NAMED else ""
    return f"{len(speakers)} ({names}{more})" if speakers else "none"
