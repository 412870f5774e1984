"""The same models at another width."""

from typing import Any

from trainable.config.trial_config import TrialConfig

WIDTH = "hidden_dim"


WIDTH_STEP = 8


def scale_width(config: TrialConfig, factor: float) -> TrialConfig:
    """The config with its model's width times a factor; models without a width stay.

    Args:
        config: The trial.
        factor: Above 0. The width goes to the nearest multiple of 8, at least 8.

    Raises:
        pydantic.ValidationError: The model does not take the new width.
    """
    width: Any = getattr(config.model, WIDTH, None)
    if factor == 1 or width is None:
        return config
    scaled = max(WIDTH_STEP, WIDTH_STEP * round(width * factor / WIDTH_STEP))
    tree = config.model_dump()
    tree["model"][WIDTH] = scaled
    return TrialConfig.model_validate(tree)
