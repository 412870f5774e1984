"""The mapping of a config from elsewhere onto a space, as a starting point of a search.

A value that does not fit is moved to the nearest one of the space, with a remark: nothing is
dropped silently. In the remarks, "there" is the config and "here" is the space.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from spaces.conditions import Params
from spaces.dimensions import PRESET, Choice, Dimension, Integer, Value, equal_values
from spaces.files.complaints import complaints, short_repr
from spaces.space import Space, json_value, range_text
from spaces.stage_weights import StageWeights, are_weights, clip_to_bounds, normalise_weights
from spaces.trees import flatten

# Of a normalised stage weight; a smaller difference is rounding and gets no remark.
WEIGHT_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class FitResult:
    """The parameters of a space that are nearest to a config.

    Attributes:
        params: Parameters that the space contains; None if no values are near the config.
        remarks: The differences from the config, one sentence each.
    """

    params: Params | None
    remarks: tuple[str, ...]


def fit_config(
    space: Space,
    tree: Mapping[str, Any],
    config_class: type[BaseModel] | None = None,
    *,
    ignore: Collection[str] = (),
) -> FitResult:
    """Map a config onto a space.

    Numbers become the nearest number that the space allows. A word that is not among the choices
    has no nearest one, so the config does not fit. Of several presets, take the one that needs the
    fewest remarks, the first on a tie.

    Args:
        space: The space.
        tree: The config: a dump, its canonical form, or only what differs from the defaults.
        config_class: The class of the config, which knows the defaults and what has no effect.
            Without it, a setting that the tree lacks gets the middle of its range, and every
            setting that the space does not have gets a remark.
        ignore: Dotted names of settings that get no remark.
    """
    try:
        there = _effective_values(tree, config_class)
    except ValidationError as error:
        assert config_class is not None  # noqa: S101 - without a class nothing is validated
        found = complaints(config_class, error, tree)
        remarks = tuple(f"not a valid config: {each}" for each in found)
        return FitResult(params=None, remarks=remarks)
    fits = [
        _fit_preset(space, there, tree, preset=preset, config_class=config_class)
        for preset in (tuple(space.presets) or (None,))
    ]
    # A fit without parameters comes last, however few its notes.
    best = min(fits, key=lambda fit: (fit.params is None, len(fit.notes)))
    if len(fits) > 1 and best.params is not None and best.notes:
        best.notes = {PRESET: f"{PRESET} {best.params[PRESET]} is the nearest", **best.notes}
    notes = (note for name, note in best.notes.items() if name not in ignore)
    return FitResult(params=best.params, remarks=tuple(notes))


@dataclass(slots=True, kw_only=True)
class _Fit:
    """The state of one fit, with one preset.

    Attributes:
        space: The space.
        given: The values of the config by dotted name.
        stated: The names that the config sets itself; the others have defaults.
        defaults: The defaults of the config class, by dotted name.
        params: The result; None before `run`, and if the config does not fit.
        notes: Remarks by the setting that they are about.
    """

    space: Space
    given: dict[str, Any]
    stated: frozenset[str]
    defaults: Mapping[str, Any]
    params: Params | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Set the parameters, or leave them None if a word is not among the choices."""
        faults, numbers = dict[str, str](), dict[str, float]()
        for name, weights in self.space.stage_weights.items():
            value = self.given.get(name, self.defaults.get(name))
            numbers |= _fit_stage_weights(weights, value, self.notes)

        def pick(dimension: Dimension) -> Value:
            name = dimension.name
            if name in numbers:
                return numbers[name]
            value, source = self._value_of(dimension)
            nearest = _nearest(dimension, value)
            if nearest is None and value is not None:
                where = range_text(dimension)
                faults[name] = f"{name} is {short_repr(value)} there, not in {where} here"
                # Any valid value, so that the walk continues and finds all faults.
                return dimension.extremes()[0]
            moved = f" -> {nearest}, the nearest here" if nearest != value else ""
            if source:
                self.notes[name] = f"{name} is not given there: {value}, {source}{moved}"
            elif moved:
                self.notes[name] = f"{name} {value}{moved}"
            return nearest

        params = self.space.sample(pick)
        for name, weights in self.space.stage_weights.items():
            if weights.parts[0].name not in params:
                # Without effect here, so a remark on their values would mislead.
                self.notes.pop(name, None)
        self.notes = faults or self.notes
        self.params = None if faults else params

    def _value_of(self, dimension: Dimension) -> tuple[Any, str]:
        """Return a parameter's value, and its source if the config does not set it itself."""
        name = dimension.name
        if name in self.given:
            return self.given[name], "" if name in self.stated else "the default"
        default = self.defaults.get(name)
        if default is not None and _nearest(dimension, default) is not None:
            return default, "the default"
        source = "first choice" if isinstance(dimension, Choice) else "middle of the range"
        return _middle(dimension), f"the {source} here"


def _fit_preset(
    space: Space,
    there: Mapping[str, Any],
    tree: Mapping[str, Any],
    *,
    preset: str | None,
    config_class: type[BaseModel] | None,
) -> _Fit:
    """Fit a config with the effective values `there`, given this preset."""
    given = dict(there) | ({} if preset is None else {PRESET: preset})
    defaults = {} if config_class is None else flatten(_dump(config_class, {}))
    stated = frozenset({*flatten(tree), PRESET})
    fit = _Fit(space=space, given=given, stated=stated, defaults=defaults)
    _replace_neutral_values(fit, config_class)
    fit.run()
    if fit.params is not None:
        _note_differences(fit, config_class)
    return fit


def _note_differences(fit: _Fit, config_class: type[BaseModel] | None) -> None:
    """Note every setting that differs between config and space and has no note yet."""
    params, given = fit.params or {}, fit.given
    tree = fit.space.tree(params)
    try:
        here = _effective_values(tree, config_class)
    except ValidationError as error:
        assert config_class is not None  # noqa: S101 - without a class nothing is validated
        found = complaints(config_class, error, tree)
        fit.notes |= {f"!{each}": f"not a valid config here: {each}" for each in found}
        fit.params = None
        return
    fixed = flatten(fit.space.base_tree(str(params[PRESET]) if PRESET in params else None))
    for name in dict.fromkeys([*given, *here]):
        if name in fit.notes or name in params or name in fit.space.stage_weights:
            continue
        a, b = short_repr(json_value(given.get(name))), short_repr(json_value(here.get(name)))
        if name not in here:
            what = "has no effect" if config_class is not None else "is not set"
            fit.notes[name] = f"{name} is {a} there and {what} here"
        elif name in given and not equal_values(json_value(given[name]), json_value(here[name])):
            where = "fixed at" if name in fixed else "the default"
            fit.notes[name] = f"{name} is {a} there, {where} {b} here"
        elif name not in given and name in fixed and config_class is not None:
            fit.notes[name] = f"{name} has no effect there, fixed at {b} here"


def _replace_neutral_values(fit: _Fit, config_class: type[BaseModel] | None) -> None:
    """Replace a neutral value that the space lacks by another setting of the same meaning.

    If the space cannot set distillation to none, alpha 0 means the same.
    """
    by_name = {dimension.name: dimension for dimension in fit.space.dimensions}
    needs = getattr(config_class, "needs", {})
    for name, neutral in getattr(config_class, "neutral", {}).items():
        own = by_name.get(name)
        fixed = fit.space.fixed_values().get(name, neutral)
        if fit.given.get(name) != neutral or (own.contains(neutral) if own else fixed == neutral):
            continue
        for need in needs.get(name, ()):
            switch = by_name.get(need.parameter)
            off = [value for value in need.excluded if switch and switch.contains(value)]
            if off:
                del fit.given[name]
                fit.given[need.parameter] = off[0]
                fit.stated |= {need.parameter}
                means = f"{need.parameter} {off[0]}, which means the same"
                fit.notes[name] = f"{name} {short_repr(neutral)} -> {means}"
                break


def _fit_stage_weights(
    weights: StageWeights, value: object, notes: dict[str, str]
) -> dict[str, float]:
    """Return the numbers of stage weights, clipped to their bounds; note a change."""
    name = weights.name
    if not are_weights(value):
        middle = {part.name: float(_middle(part)) for part in weights.parts}
        notes[name] = (
            f"{name} is not given there: {weights.weights(middle)}, from the middle of the range"
        )
        return middle
    assert isinstance(value, list | tuple)  # noqa: S101 - checked by are_weights
    numbers = clip_to_bounds(weights, weights.numbers(value))
    here, there = weights.weights(numbers), normalise_weights(value)
    if len(here) != len(there) or any(
        abs(a - b) > WEIGHT_TOLERANCE for a, b in zip(here, there, strict=True)
    ):
        notes[name] = f"{name} {list(value)} -> {here}, the nearest here"
    return numbers


def _nearest(dimension: Dimension, value: object) -> Value:
    """Return the value of the dimension that is nearest to a number; None for other values."""
    if dimension.contains(value):
        return value  # type: ignore[return-value]  # contained, so a Value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if isinstance(dimension, Choice):
        numbers = [each for each in dimension.choices if _is_number(each)]
        return min(numbers, key=lambda each: abs(float(each or 0) - value), default=None)
    inside = min(max(value, dimension.low), dimension.high)
    if dimension.step is None:
        return float(inside)
    # From `low`, since the grid of steps starts there and not at 0.
    steps = round((inside - dimension.low) / dimension.step)
    if isinstance(dimension, Integer):
        return dimension.low + steps * dimension.step
    # Without the rounding noise of low + steps * step, which would be printed in a remark.
    return round(dimension.low + steps * dimension.step, 12)


def _middle(dimension: Dimension) -> Any:
    """Return the middle of a range, geometric on a log scale, or the first choice."""
    if isinstance(dimension, Choice):
        return dimension.choices[0]
    low, high = dimension.low, dimension.high
    middle = math.sqrt(low * high) if dimension.log else (low + high) / 2
    return _nearest(dimension, middle)


def _effective_values(
    tree: Mapping[str, Any], config_class: type[BaseModel] | None
) -> dict[str, Any]:
    """Return the values of a config by dotted name; with its class, only those with an effect."""
    if config_class is None:
        return flatten(tree)
    config = config_class.model_validate(tree)
    canonical = getattr(config, "canonical", None)
    return flatten(canonical() if canonical else config.model_dump(mode="json"))


def _dump(config_class: type[BaseModel], tree: Mapping[str, Any]) -> dict[str, Any]:
    return config_class.model_validate(tree).model_dump(mode="json")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
