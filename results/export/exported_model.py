"""An exported folder read back as a model: its config, its weights."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from models import build_model
from results.export.export import EXPORTED_CONFIG, WEIGHTS
from spaces.files.errors import CheckpointError
from trainable.checkpoints.loading import LoadedModel
from trainable.checkpoints.model_file import does_not_fit
from trainable.config.trial_config import read_train_config


def find_export(path: Path) -> Path | None:
    """Return the exported folder that a path names, itself or by its weights; None if none."""
    folder = path.parent if path.name == WEIGHTS else path
    is_export = (folder / WEIGHTS).is_file() and (folder / EXPORTED_CONFIG).is_file()
    return folder if is_export else None


def load_exported(folder: Path) -> LoadedModel:
    """Load the model of an exported folder; every tensor must fit.

    Raises:
        CheckpointError: The weights cannot be read, or do not fit the config.
        ConfigError: The config breaks a rule.
    """
    file, config = folder / WEIGHTS, read_train_config(folder / EXPORTED_CONFIG).trial
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file}: cannot be read: {error}; export again") from error
    with does_not_fit(file):
        model = build_model(config.model)
        model.load_state_dict(tensors)
    return LoadedModel(
        model=model.eval(),
        centres_KD=None,
        config=config,
        epoch=0,
        history=(),
        speakers=(),
        file=file,
    )
