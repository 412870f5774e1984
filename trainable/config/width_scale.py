"""Changes the width of a model, for smaller or larger versions of a trial."""

from typing import Any

from trainable.config.trial_config import TrialConfig

# Name of the width in the models that have one.
WIDTH = "hidden_dim"
WIDTH_STEP = 8


def scale_width(config: TrialConfig, factor: float) -> TrialConfig:
    """Return the config with its model's width multiplied; models without a width do not change.

    Args:
        config: The trial.
        factor: Above 0. The width is rounded to the nearest multiple of 8, at least 8.

    Raises:
        pydantic.ValidationError: The model does not allow the new width.
    """
    width: Any = getattr(config.model, WIDTH, None)
    if factor == 1 or width is None:
        return config
    scaled = max(WIDTH_STEP, WIDTH_STEP * round(width * factor / WIDTH_STEP))
    tree = config.model_dump()
    tree["model"][WIDTH] = scaled
    return TrialConfig.model_validate(tree)
