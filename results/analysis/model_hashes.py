"""The model of each trial by its fingerprint, to find model configs that give the same model."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from results.journal.history import TrialHistory, trial_histories
from results.journal.journal import Record

NOT_GIVEN = "-"


def model_hashes(records: Iterable[Record]) -> dict[int, str]:
    """Return the fingerprint of the model by trial, as its last worker reported it."""
    return {
        record["trial"]: record["model_hash"]
        for record in records
        if record["event"] == "placed" and record.get("model_hash")
    }


def model_counts(records: Iterable[Record]) -> str | None:
    """Return counts such as `12 trials, 9 model configs, 9 models`.

    Trials whose model is not known are left out; None where no model is known.
    """
    known = _known(records)
    if not known:
        return None
    configs = {_text(_model(trial)) for trial, _ in known}
    models = {fingerprint for _, fingerprint in known}
    return ", ".join(
        f"{count} {word if count == 1 else word + 's'}"
        for count, word in (
            (len(known), "trial"),
            (len(configs), "model config"),
            (len(models), "model"),
        )
    )


def same_models(records: Iterable[Record]) -> list[str]:
    """Return a sentence for every two model configs with the same model, with their differences.

    The first trial with a config represents all trials with it.
    """
    groups: dict[str, dict[str, TrialHistory]] = {}
    for trial, fingerprint in _known(records):
        groups.setdefault(fingerprint, {}).setdefault(_text(_model(trial)), trial)
    return [
        _sentence(first, other)
        for configs in groups.values()
        for first, other in _pairs(list(configs.values()))
    ]


def _known(records: Iterable[Record]) -> list[tuple[TrialHistory, str]]:
    """Return the trials whose config and model are known, with the model's fingerprint."""
    records = tuple(records)
    models = model_hashes(records)
    return [
        (trial, models[trial.trial])
        for trial in trial_histories(records)
        if trial.trial in models and _model(trial)
    ]


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
    return dict(trial.started["config"].get("model") or {})


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
