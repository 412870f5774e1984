"""Whether a worker built what the search asked for."""

from collections.abc import Mapping
from typing import Any

from trainable.config import TrialConfig


def other_config(asked: TrialConfig, place: Mapping[str, Any]) -> str | None:
    """Why a trial cannot count: its worker built the trainer of another config; else None.

    Args:
        asked: The trial's config.
        place: What the worker says, as `trainable.trial.place_of` gives it; one that names no
            config is left to the comparison of versions.
    """
    wanted, built = asked.config_hash(), place.get("config_hash")
    if built in (wanted, None):
        return None
    return (
        f"the worker on {place['host']} built a trainer of config {built}, the trial's is "
        f"{wanted}: install the same Veer on every node, then go on with the search"
    )
