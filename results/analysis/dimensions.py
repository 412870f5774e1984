"""The dimensions of a run's search space: those in its file, or else what the values span."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spaces.dimensions import Choice, Dimension, Float, Integer, equal_values
from spaces.files.errors import VeerError
from spaces.reading.space_file import read_space
from trainable.config.reading import preset_trees
from trainable.config.trial_config import TrialConfig


def dimensions_of(space: Path, params: Iterable[Mapping[str, Any]]) -> tuple[Dimension, ...]:
    """Return the dimensions in the space's file, or else those that the sampled values span.

    The file may be missing, edited since the search, or name a user's own model, whose code must
    not run just to draw a chart.

    Args:
        space: The space.yaml of a run.
        params: Sampled values of every trial by dotted name.
    """
    sampled = tuple(params)
    spanned = _spanned(sampled)
    try:
        in_file = read_space(space, TrialConfig, presets=preset_trees()).dimensions
    except (VeerError, OSError):
        return spanned
    by_name = {each.name: each for each in in_file}
    # One value outside shows that the file was edited, so none of its ranges is trusted.
    fits = all(
        name in by_name and _holds(by_name[name], value)
        for own in sampled
        for name, value in own.items()
    )
    return in_file if fits else spanned


def _holds(dimension: Dimension, value: Any) -> bool:
    """Return whether a value lies in a dimension."""
    if isinstance(dimension, Choice):
        return any(equal_values(value, each) for each in dimension.choices)
    # Python counts True and False as whole numbers.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and dimension.low <= value <= dimension.high


def _spanned(params: Iterable[Mapping[str, Any]]) -> tuple[Dimension, ...]:
    values: dict[str, list[Any]] = {}
    for sampled in params:
        for name, value in sampled.items():
            values.setdefault(name, []).append(value)
    return tuple(_dimension(name, own) for name, own in values.items())


def _dimension(name: str, values: list[Any]) -> Dimension:
    """Return the smallest dimension with these values; a Choice where they are not a range."""
    kinds = {type(value) for value in values}
    if kinds == {int} and min(values) < max(values):
        return Integer(name=name, low=min(values), high=max(values))
    if kinds <= {int, float} and min(values) < max(values):
        return Float(name=name, low=float(min(values)), high=float(max(values)))
    return Choice(name=name, choices=tuple(dict.fromkeys(values)))
