"""Which checkpoints a training continues from."""

from collections.abc import Mapping
from typing import Any

from spaces.files.errors import TrainingError
from trainable.config.trial_config import TrialConfig
from trainable.machine.engine import EngineConfig, require_same_engine


def require_same_run(
    veer: Mapping[str, Any], config: TrialConfig, speakers: tuple[str, ...], engine: EngineConfig
) -> None:
    """Refuse a checkpoint of another training.

    Args:
        veer: The part `veer` of the checkpoint.
        config: The training.
        speakers: Its speakers.
        engine: How it is computed.

    Raises:
        TrainingError: The checkpoint belongs to another config, other speakers or another engine.
    """
    found = TrialConfig.model_validate(veer["config"])
    if _without_max_epochs(found) != _without_max_epochs(config):
        raise TrainingError(
            f"the checkpoint holds a run of another config ({found.config_hash()}), "
            f"not of {config.config_hash()}; choose another output folder"
        )
    if _planned_by_epochs(config) and found.training.max_epochs != config.training.max_epochs:
        raise TrainingError(
            "training.max_epochs must stay as it is where training.schedule is not step or there "
            "is a last phase, since both follow from it, got "
            f"{config.training.max_epochs} for a run of {found.training.max_epochs}; choose "
            "another output folder"
        )
    if tuple(veer["speakers"]) != speakers:
        raise TrainingError(
            f"the checkpoint was trained on {len(veer['speakers'])} other speakers, "
            f"the train list has {len(speakers)}; choose another output folder"
        )
    require_same_engine(veer["engine"], engine)


def _planned_by_epochs(config: TrialConfig) -> bool:
    """Return whether an epoch's training depends on how many there will be."""
    return config.training.schedule != "step" or config.training.last_phase_epochs > 0


def _without_max_epochs(config: TrialConfig) -> dict[str, Any]:
    """Return the canonical config without the number of epochs, which may grow on resuming."""
    data = config.canonical()
    del data["training"]["max_epochs"]
    return data
