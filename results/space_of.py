"""The dimensions of a run's space, for what is drawn and reckoned of it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spaces.dimensions import Choice, Dimension, Float, Integer, same
from spaces.files.errors import VeerError
from spaces.reading.space_file import read_space
from trainable.config.reading import preset_trees
from trainable.config.trial_config import TrialConfig


def dimensions_of(space: Path, params: Iterable[Mapping[str, Any]]) -> tuple[Dimension, ...]:
    """Those of the space's file, else those that the values at hand span.

    The file may be gone, edited since, or name a model of the person's own, whose code is not run
    to draw a picture.

    Args:
        space: A run's space.yaml.
        params: Every trial's sampled values by dotted name.
    """
    sampled = tuple(params)
    spanned = _spanned(sampled)
    try:
        told = read_space(space, TrialConfig, presets=preset_trees()).dimensions
    except (VeerError, OSError):
        return spanned
    by_name = {each.name: each for each in told}
    fits = all(
        name in by_name and _holds(by_name[name], value)
        for own in sampled
        for name, value in own.items()
    )
    return told if fits else spanned


def _holds(dimension: Dimension, value: Any) -> bool:
    if isinstance(dimension, Choice):
        return any(same(value, each) for each in dimension.choices)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and dimension.low <= value <= dimension.high


def _spanned(params: Iterable[Mapping[str, Any]]) -> tuple[Dimension, ...]:
    values: dict[str, list[Any]] = {}
    for sampled in params:
        for name, value in sampled.items():
            values.setdefault(name, []).append(value)
    return tuple(_dimension(name, own) for name, own in values.items())


def _dimension(name: str, values: list[Any]) -> Dimension:
    kinds = {type(value) for value in values}
    if kinds == {int} and min(values) < max(values):
        return Integer(name=name, low=min(values), high=max(values))
    if kinds <= {int, float} and min(values) < max(values):
        return Float(name=name, low=float(min(values)), high=float(max(values)))
    return Choice(name=name, choices=tuple(dict.fromkeys(values)))
