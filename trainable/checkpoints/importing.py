"""A model file of Veer from weights of another program."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models import build_model, count_parameters
from spaces.files.digest import file_sha256
from spaces.files.disk import translate_disk_full
from spaces.files.errors import CheckpointError, ConfigError
from spaces.files.overrides import apply_overrides
from spaces.files.yaml_file import YamlDocument, load_model
from trainable.checkpoints.folder import FILE_SUFFIX, saved_bytes, write_model_file
from trainable.checkpoints.foreign_weights import (
    FittedWeights,
    fit_weights,
    read_foreign_weights,
)
from trainable.checkpoints.model_file import NETWORK_PREFIX
from trainable.config.trial_config import TrialConfig

_COMMAND_LINE = Path("command line")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedModel:
    """A model file that was made of weights of another program.

    Attributes:
        file: The model file.
        num_params: Trainable parameters.
        fitted: The weights, and what was left out.
    """

    file: Path
    num_params: int
    fitted: FittedWeights


def model_only_config(family: str, assignments: Sequence[str]) -> TrialConfig:
    """Return a trial's config of a model that Veer did not train.

    Args:
        family: Its family.
        assignments: `model.key=value` for its sizes.

    Raises:
        ConfigError: An assignment is not of the model, or a setting breaks a rule.
    """
    if others := [each for each in assignments if not each.startswith("model.")]:
        raise ConfigError(
            f"--set must name a setting of the model, as in --set model.embedding_dim=256, got "
            f"{others[0]!r}"
        )
    data = {"model": {"family": family}, "loss": {"distillation": "none"}, "training": {}}
    document = YamlDocument(path=_COMMAND_LINE, data=data, lines={(): 1})
    document = apply_overrides(document, assignments)
    # A model of one length can be trained further with such crops only.
    if (frames := document.data["model"].get("num_frames")) is not None:
        document.data["training"]["crop_frames"] = frames
    return load_model(TrialConfig, document)


def import_model(source: Path, config: TrialConfig, out: Path) -> ImportedModel:
    """Write a model file of Veer from the weights in another program's file.

    It has no speakers, no classifier and no epochs; its config has only the model.

    Args:
        source: The file.
        config: Says what model it is.
        out: The model file to write.

    Raises:
        CheckpointError: The file cannot be read, weights do not fit, or `out` exists.
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
    with translate_disk_full(out, lambda: saved_bytes(state)):
        write_model_file(out, state)
    return ImportedModel(file=out, num_params=count_parameters(model), fitted=fitted)


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
