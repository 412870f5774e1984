"""A teacher that is a network: a trained speaker model that embeds every crop.

Shapes: B batch, N utterances, T frames, F mel bins, D embedding, K speakers.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models import SpeakerModel
from spaces.files.errors import CheckpointError
from trainable.checkpoints.loading import (
    LoadedClassifier,
    LoadedModel,
    load_classifier,
    load_speaker_model,
)
from trainable.features.crop_bank import Index
from trainable.loss.stages import stage_dims
from trainable.loss.teacher_output import (
    Crops,
    SpeakerCentres,
    TeacherFacts,
    TeacherOutput,
    random_starts,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A trained model, frozen: the constructor sets eval mode and turns gradients off.

    Attributes:
        model: The network.
        centres: Its classifier; None if the file has none.
    """

    model: SpeakerModel
    centres: SpeakerCentres | None = None

    def __post_init__(self) -> None:
        # In training mode batch norm would adapt to the crops, and dropout make targets random.
        self.model.eval().requires_grad_(False)

    @property
    def facts(self) -> TeacherFacts:
        """Crops of any length, and stages."""
        return TeacherFacts(
            embedding_dim=self.model.embedding_dim,
            centres=self.centres,
            has_stages=True,
            crop_frames=None,
        )

    def to(self, device: torch.device) -> "Teacher":
        """Return the teacher on a device; the network itself is moved, not copied."""
        self.model.to(device)
        if self.centres is None:
            return self
        return replace(self, centres=self.centres.to(device))

    def stage_dims(self, feat_BTF: Tensor) -> tuple[int, ...]:
        """Return the channels of each stage before the embedding, found by embedding a crop."""
        return stage_dims(self.model, feat_BTF)

    def draw_starts(self, rng: np.random.Generator, row_N: Index, latest_N: Index) -> Index:  # noqa: ARG002 - any crop of any utterance will do
        """Return random starts: a network can embed any crop."""
        return random_starts(rng, latest_N)

    def output(self, crops: Crops, *, with_stages: bool) -> TeacherOutput:
        """Return the embeddings of the crops."""
        return self.embed(crops.feat_BTF, with_stages=with_stages)

    # Not inference_mode: autograd refuses its tensors in the student's loss.
    @torch.no_grad()
    def embed(self, feat_BTF: Tensor, *, with_stages: bool = False) -> TeacherOutput:
        """Embed crops of any length, log-mels before instance normalisation."""
        if not with_stages:
            return TeacherOutput(self.model.embed(feat_BTF), ())
        *stages, embedding_BD = self.model.embed_stages(feat_BTF)
        return TeacherOutput(embedding_BD, tuple(stages))


def load_teacher(path: Path) -> Teacher:
    """Load the teacher from a model file, or from the best epoch's file of a run folder.

    Raises:
        CheckpointError: The file is missing or damaged, or its weights do not fit its config.
    """
    loaded = load_speaker_model(path)
    return Teacher(model=loaded.model, centres=_centres(loaded))


def load_centres(path: Path) -> SpeakerCentres | None:
    """Load only the classifier of such a file; return None if it has none.

    Raises:
        CheckpointError: As `load_teacher`.
    """
    return _centres(load_classifier(path))


def _centres(loaded: LoadedModel | LoadedClassifier) -> SpeakerCentres | None:
    if loaded.centres_KD is None:
        return None
    # `load_speaker_model` checks the network only: the classifier is no part of it.
    expected = (len(loaded.speakers), loaded.config.model.embedding_dim)
    if loaded.centres_KD.shape != expected:
        raise CheckpointError(
            f"{loaded.file}: the classifier must be {expected[0]} speakers by {expected[1]} "
            f"dimensions, got {tuple(loaded.centres_KD.shape)}"
        )
    return SpeakerCentres(
        weight_KD=loaded.centres_KD, scale=loaded.config.loss.scale, speakers=loaded.speakers
    )
