"""Checks that user models may be built, before anything is run or written."""

from pathlib import Path

import torch

from models import CustomModelConfig, ModelConfig, build_model
from models.custom_config import is_custom_family
from models.user_code import require_permission
from trainable.checkpoints.folder import resolve_model_file
from trainable.checkpoints.model_file import read_checkpoint

# First line of an exported config whose model is user code.
CODE_NOTE = "# model.family is a class in a file of your own: give --allow-code to run it.\n"


def needs_user_code(config: ModelConfig) -> bool:
    """Return whether building the model runs a file of the user."""
    return isinstance(config, CustomModelConfig)


def check_user_model(config: ModelConfig) -> None:
    """Build a user model once and drop it; do nothing for other families.

    Raises:
        ConfigError: It may not be built, or building it fails.
    """
    if needs_user_code(config):
        # The weights are drawn: the caller's random numbers must not change.
        with torch.random.fork_rng(devices=[]):
            build_model(config)


def check_user_teacher(teacher: Path | None) -> None:
    """Refuse a teacher whose model is user code, if user code is not allowed.

    Only a model file or run folder can hold such a model; other teachers and None pass.

    Raises:
        CheckpointError: The file is missing or damaged.
        ConfigError: Its family is user code, which needs permission.
    """
    if teacher is None or not (teacher.is_dir() or teacher.suffix == ".model"):
        return
    file = resolve_model_file(teacher)
    config = read_checkpoint(file)["veer"].get("config", {})
    family = config.get("model", {}).get("family")
    if is_custom_family(family):
        require_permission(f"teacher {file} (model.family {family})")
