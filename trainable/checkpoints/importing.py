"""A model file of Veer from weights of another program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models import build_model, count_parameters
from spaces.files.digest import file_sha256
from spaces.files.disk import translate_disk_full
from spaces.files.errors import CheckpointError, ConfigError, CorpusError
from spaces.files.overrides import apply_overrides
from spaces.files.yaml_file import YamlDocument, load_model
from trainable.checkpoints.folder import FILE_SUFFIX, saved_bytes, write_model_file
from trainable.checkpoints.foreign_weights import (
    FittedWeights,
    fit_weights,
    read_foreign_weights,
)
from trainable.checkpoints.model_file import CLASSIFIER_PREFIX, NETWORK_PREFIX
from trainable.config.trial_config import TrialConfig
from trainable.lists.trainers_classes import trainers_classes

_COMMAND_LINE = Path("command line")
# What a classifier's logits depend on, beside its weights.
_SCALE = "loss.scale"
# The centres of AAM-softmax, in voxceleb_trainer as in Veer.
_CENTRES = f"{CLASSIFIER_PREFIX}weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedModel:
    """A model file that was made of weights of another program.

    Attributes:
        file: The model file.
        num_params: Trainable parameters.
        fitted: The weights, and what was left out.
        num_speakers: Speakers of its classifier; 0 without one.
    """

    file: Path
    num_params: int
    fitted: FittedWeights
    num_speakers: int = 0


def model_only_config(family: str, assignments: Sequence[str]) -> TrialConfig:
    """Return a trial's config of a model that Veer did not train.

    Args:
        family: Its family.
        assignments: `model.key=value` for its sizes, `loss.scale=value` for its classifier.

    Raises:
        ConfigError: An assignment is not of the model, or a setting breaks a rule.
    """
    if others := [each for each in assignments if not each.startswith(("model.", f"{_SCALE}="))]:
        raise ConfigError(
            f"--set must name a setting of the model, as in --set model.embedding_dim=256, or "
            f"{_SCALE}, got {others[0]!r}"
        )
    data = {"model": {"family": family}, "loss": {"distillation": "none"}, "training": {}}
    document = YamlDocument(path=_COMMAND_LINE, data=data, lines={(): 1})
    document = apply_overrides(document, assignments)
    # A model of one length can be trained further with such crops only.
    if (frames := document.data["model"].get("num_frames")) is not None:
        document.data["training"]["crop_frames"] = frames
    return load_model(TrialConfig, document)


def import_model(
    source: Path, config: TrialConfig, out: Path, train_list: Path | None = None
) -> ImportedModel:
    """Write a model file of Veer from the weights in another program's file.

    It has no epochs, and its config has only the model. It has a classifier and speakers if there
    is a train list.

    Args:
        source: The file.
        config: Says what model it is.
        out: The model file to write.
        train_list: The list that voxceleb_trainer trained the file on: its speakers are the
            classes of the classifier.

    Raises:
        CheckpointError: The file cannot be read, weights do not fit, or `out` exists.
        CorpusError: The train list has faults, or other than the classifier's number of speakers.
        ConfigError: `out` is no name of a model file.
        DiskFullError: The disk is full.
    """
    if out.suffix != FILE_SUFFIX:
        raise ConfigError(f"--out must be a file that ends in {FILE_SUFFIX}, got {out}")
    if out.exists():
        raise CheckpointError(f"{out} exists; choose another --out, or move it away")
    weights = read_foreign_weights(source)
    with torch.random.fork_rng(devices=[]):
        model = build_model(config.model)
    try:
        fitted = fit_weights(weights, model.state_dict(), config.model.family)
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from None
    # A decoder that the file does not have keeps its random weights.
    model.load_state_dict(model.state_dict() | fitted.weights)
    state = _state(config, model.state_dict(), {"sha256": file_sha256(source)})
    speakers: tuple[str, ...] = ()
    if train_list is not None:
        name, centres_KD = _classifier(source, weights, model.embedding_dim)
        speakers = _speakers(source, train_list, len(centres_KD))
        state["model_state_dict"][_CENTRES] = centres_KD
        state["veer"]["speakers"] = list(speakers)
        fitted = replace(fitted, left_out=tuple(n for n in fitted.left_out if n != name))
    with translate_disk_full(out, lambda: saved_bytes(state)):
        write_model_file(out, state)
    return ImportedModel(
        file=out,
        num_params=count_parameters(model),
        fitted=fitted,
        num_speakers=len(speakers),
    )


def _classifier(
    source: Path, weights: Mapping[str, Tensor], embedding_dim: int
) -> tuple[str, Tensor]:
    """Return the name and the speaker centres of a file's classifier, (K, D)."""
    for name, each in weights.items():
        if name.endswith(_CENTRES) and each.ndim == 2 and each.shape[1] == embedding_dim:
            return name, each
    heads = [f"{n} {tuple(each.shape)}" for n, each in weights.items() if CLASSIFIER_PREFIX in n]
    raise CheckpointError(
        f"{source}: with --train-list it must have the classifier of AAM-softmax, {_CENTRES} "
        f"(speakers, {embedding_dim}), got {', '.join(heads) or 'none'}; without --train-list "
        "the network alone is imported"
    )


def _speakers(source: Path, train_list: Path, num_classes: int) -> tuple[str, ...]:
    """Return the speakers of a classifier's classes."""
    speakers = trainers_classes(train_list)
    if len(speakers) != num_classes:
        raise CorpusError(
            [
                f"{train_list}: must have as many speakers as the classifier of {source} has "
                f"classes, {num_classes:,}, got {len(speakers):,}; give the list that it was "
                "trained on"
            ]
        )
    return speakers


def _state(
    config: TrialConfig, weights: dict[str, Any], imported: dict[str, str]
) -> dict[str, Any]:
    """Return the content of a model file of no epochs."""
    return {
        "model_state_dict": {NETWORK_PREFIX + name: each for name, each in weights.items()},
        "optimizer_state_dict": {},
        "scheduler_state_dict": {},
        "epoch": 0,
        "veer": {
            "config": config.model_dump(mode="json"),
            "imported": imported,
            "speakers": [],
            "history": [],
        },
    }
