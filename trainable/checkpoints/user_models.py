"""Asked before anything is run or written: may the models that are named be built?"""

from pathlib import Path

import torch

from models import CustomModelConfig, ModelConfig, build_model
from models.custom_config import is_custom_family
from models.user_code import require_permission
from trainable.checkpoints.folder import resolve_model_file
from trainable.checkpoints.model_file import read_checkpoint

# Above a config that names the person's own file.
CODE_NOTE = "# model.family is a class in a file of your own: give --allow-code to run it.\n"


def needs_user_code(config: ModelConfig) -> bool:
    """Whether building the model runs the person's own file."""
    return isinstance(config, CustomModelConfig)


def check_user_model(config: ModelConfig) -> None:
    """Build a model of the person's own once, and drop it; other families are left alone.

    Raises:
        ConfigError: It may not be built, or cannot.
    """
    if needs_user_code(config):
        with torch.random.fork_rng(devices=[]):
            build_model(config)


def check_user_teacher(teacher: Path | None) -> None:
    """Refuse a model file, or the best one of a run folder, whose model may not be built.

    Other kinds of teacher, and None, are left alone.

    Raises:
        CheckpointError: The file is missing or damaged.
        ConfigError: Its family is the person's own, which needs permission.
    """
    if teacher is None or not (teacher.is_dir() or teacher.suffix == ".model"):
        return
    file = resolve_model_file(teacher)
    config = read_checkpoint(file)["veer"].get("config", {})
    family = config.get("model", {}).get("family")
    if is_custom_family(family):
        require_permission(f"teacher {file} (model.family {family})")
