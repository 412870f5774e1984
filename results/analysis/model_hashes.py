"""The model of each trial by its fingerprint, to find model configs that give the same model."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from results.journal.history import TrialHistory

NOT_GIVEN = "-"


def model_counts(trials: Iterable[TrialHistory]) -> str | None:
    """Return counts such as `12 trials, 9 model configs, 9 models`.

    Trials whose model is not known are left out; None where no model is known.
    """
    known = _known(trials)
    if not known:
        return None
    configs = {_text(_model(trial)) for trial in known}
    models = {trial.model_hash for trial in known}
    return ", ".join(
        f"{count} {word if count == 1 else word + 's'}"
        for count, word in (
            (len(known), "trial"),
            (len(configs), "model config"),
            (len(models), "model"),
        )
    )


def same_models(trials: Iterable[TrialHistory]) -> list[str]:
    """Return a sentence for every two model configs with the same model, with their differences.

    The first trial with a config represents all trials with it.
    """
    groups: dict[str | None, dict[str, TrialHistory]] = {}
    for trial in _known(trials):
        groups.setdefault(trial.model_hash, {}).setdefault(_text(_model(trial)), trial)
    return [
        _sentence(first, other)
        for configs in groups.values()
        for first, other in _pairs(list(configs.values()))
    ]


def _known(trials: Iterable[TrialHistory]) -> list[TrialHistory]:
    """Return the trials whose config and model are known."""
    return [trial for trial in trials if trial.model_hash is not None and _model(trial)]


def _pairs(trials: list[TrialHistory]) -> Iterator[tuple[TrialHistory, TrialHistory]]:
    """Return the first trial paired with each of the others."""
    return ((trials[0], other) for other in trials[1:])


def _sentence(first: TrialHistory, other: TrialHistory) -> str:
    one, two = _leaves(_model(first), "model"), _leaves(_model(other), "model")
    keys = [key for key in dict.fromkeys((*one, *two)) if one.get(key) != two.get(key)]
    values = ", ".join(
        f"{key} ({one.get(key, NOT_GIVEN)} and {two.get(key, NOT_GIVEN)})" for key in keys
    )
    return f"trials {first.trial} and {other.trial} differ in {values} and have the same model"


def _model(trial: TrialHistory) -> dict[str, Any]:
    return dict(trial.started.config.get("model") or {})


def _leaves(value: Any, name: str) -> dict[str, Any]:
    """Return the values of a config by dotted key."""
    if not isinstance(value, Mapping):
        return {name: value}
    return {
        key: leaf
        for own, each in value.items()
        for key, leaf in _leaves(each, f"{name}.{own}").items()
    }


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)
