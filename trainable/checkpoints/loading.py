"""Speaker models and classifiers, loaded from model files.

Shapes: K speakers, D embedding.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from models import SpeakerModel, build_model
from trainable.checkpoints.folder import resolve_model_file
from trainable.checkpoints.model_file import (
    CLASSIFIER_PREFIX,
    NETWORK_PREFIX,
    does_not_fit,
    part_of,
    read_checkpoint,
)
from trainable.config.trial_config import TrialConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedClassifier:
    """A classifier read from a model file, on the CPU.

    Attributes:
        centres_KD: The speaker centres; None if the file has none.
        config: The trial that trained it.
        speakers: Training speakers.
        file: The file it was read from.
    """

    centres_KD: Tensor | None
    config: TrialConfig
    speakers: tuple[str, ...]
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel(LoadedClassifier):
    """A model read from a file, in eval mode on the CPU.

    Attributes:
        model: The network.
        epoch: Epochs it was trained for.
        history: Report fields of each epoch.
    """

    model: SpeakerModel
    epoch: int
    history: tuple[dict[str, Any], ...]


def load_speaker_model(path: Path) -> LoadedModel:
    """Load a model file, or the best epoch of a run folder; every tensor must fit.

    Raises:
        CheckpointError: The file is missing or damaged, or its weights do not fit its config.
    """
    file = resolve_model_file(path)
    state = read_checkpoint(file)
    with does_not_fit(file):
        config = TrialConfig.model_validate(state["veer"]["config"])
        model = build_model(config.model)
        model.load_state_dict(part_of(state["model_state_dict"], NETWORK_PREFIX))
        return LoadedModel(
            model=model.eval(),
            centres_KD=state["model_state_dict"].get(f"{CLASSIFIER_PREFIX}weight"),
            config=config,
            epoch=state["epoch"],
            history=tuple(state["veer"]["history"]),
            speakers=tuple(state["veer"]["speakers"]),
            file=file,
        )


def load_classifier(path: Path) -> LoadedClassifier:
    """Load only the classifier of a model file, or of the best epoch of a run folder.

    The file is mapped, so that the rest of it takes no memory. Verifying its digest still reads it
    all, about half a second per gigabyte: wrong centres would cost more.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    file = resolve_model_file(path)
    state = read_checkpoint(file, is_mapped=True)
    with does_not_fit(file):
        config = TrialConfig.model_validate(state["veer"]["config"])
        centres_KD = state["model_state_dict"].get(f"{CLASSIFIER_PREFIX}weight")
        return LoadedClassifier(
            # A copy, so that the mapped file can be closed.
            centres_KD=None if centres_KD is None else centres_KD.clone(),
            config=config,
            speakers=tuple(state["veer"]["speakers"]),
            file=file,
        )
