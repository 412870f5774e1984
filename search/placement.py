"""Where a worker runs a trial, and whether it built what the search asked for."""

from collections.abc import Mapping
from typing import Any

from trainable.config.trial_config import TrialConfig
from trainable.training.ray_trial import PLACE

DELIMITER = "/"


def place_in(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where a trial was begun, as `trainable.training.ray_trial.place_of` gave it; None in later results.

    Args:
        result: As Tune hands it to a scheduler: `place/host` in place of `host` in `place`.
    """
    if PLACE in result:
        return dict(result[PLACE])
    place: dict[str, Any] = {}
    for key, value in result.items():
        if not key.startswith(PLACE + DELIMITER):
            continue
        *outer, name = key.split(DELIMITER)[1:]
        inner = place
        for each in outer:
            inner = inner.setdefault(each, {})
        inner[name] = value
    return place or None


def other_config(asked: TrialConfig, place: Mapping[str, Any]) -> str | None:
    """Why a trial cannot count: its worker built the trainer of another config; else None.

    Args:
        asked: The trial's config.
        place: What the worker says, as `trainable.training.ray_trial.place_of` gives it; one that names no
            config is left to the comparison of versions.
    """
    wanted, built = asked.config_hash(), place.get("config_hash")
    if built in (wanted, None):
        return None
    return (
        f"the worker on {place['host']} built a trainer of config {built}, the trial's is "
        f"{wanted}: install the same Veer on every node, then go on with the search"
    )
