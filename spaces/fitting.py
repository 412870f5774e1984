"""A foreign config mapped onto a space, as the place where a search starts.

What does not fit is brought as near as the space allows, and said: nothing is dropped in silence.
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

WEIGHT_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class FitResult:
    """A config's place in a space.

    Attributes:
        params: Parameters that the space contains; None where there are none near the config.
        remarks: What is different there, one a line.
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

    Numbers go to the nearest that the space allows. A word that is not among the choices fits
    nowhere. Of several presets the one counts that needs the fewest remarks, the first of equals.

    Args:
        space: Where to.
        tree: The config: a dump, its canonical form, or only what differs from the defaults.
        config_class: Its class, which knows the defaults and what has no effect. Without it, what
            the tree lacks is taken from the middle of its range, and every setting of the tree
            counts that the space does not know.
        ignore: Settings by dotted name that are not remarked on.
    """
    try:
        there = _meant(tree, config_class)
    except ValidationError as error:
        assert config_class is not None  # noqa: S101 - who else would validate
        found = complaints(config_class, error, tree)
        remarks = tuple(f"not a valid config: {each}" for each in found)
        return FitResult(params=None, remarks=remarks)
    fits = [
        _tried(space, there, tree, preset=preset, config_class=config_class)
        for preset in (tuple(space.presets) or (None,))
    ]
    best = min(fits, key=lambda fit: (fit.params is None, len(fit.notes)))
    if len(fits) > 1 and best.params is not None and best.notes:
        best.notes = {PRESET: f"{PRESET} {best.params[PRESET]} is the nearest", **best.notes}
    notes = (note for name, note in best.notes.items() if name not in ignore)
    return FitResult(params=best.params, remarks=tuple(notes))


@dataclass(slots=True, kw_only=True)
class _Fit:
    """A fit in the making.

    Attributes:
        space: Where to.
        given: What the config says, by dotted name.
        stated: The names that it says itself; the others are defaults.
        defaults: Of the config class.
        params: The result.
        notes: By the setting that they are about.
    """

    space: Space
    given: dict[str, Any]
    stated: frozenset[str]
    defaults: Mapping[str, Any]
    params: Params | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Set the parameters, or leave them None where a word fits nowhere."""
        misfits, numbers = dict[str, str](), dict[str, float]()
        for name, made in self.space.stage_weights.items():
            numbers |= _spread(made, self.given.get(name, self.defaults.get(name)), self.notes)

        def pick(dimension: Dimension) -> Value:
            name = dimension.name
            if name in numbers:
                return numbers[name]
            value, source = self._value_of(dimension)
            nearest = _nearest(dimension, value)
            if nearest is None and value is not None:
                where = range_text(dimension)
                misfits[name] = f"{name} is {short_repr(value)} there, not in {where} here"
                return dimension.extremes()[0]
            moved = f" -> {nearest}, the nearest here" if nearest != value else ""
            if source:
                self.notes[name] = f"{name} is not given there: {value}, {source}{moved}"
            elif moved:
                self.notes[name] = f"{name} {value}{moved}"
            return nearest

        params = self.space.sample(pick)
        for name, made in self.space.stage_weights.items():
            if made.parts[0].name not in params:
                # They have no effect here.
                self.notes.pop(name, None)
        self.notes = misfits or self.notes
        self.params = None if misfits else params

    def _value_of(self, dimension: Dimension) -> tuple[Any, str]:
        """A parameter's value, and where it comes from if the config does not say it itself."""
        name = dimension.name
        if name in self.given:
            return self.given[name], "" if name in self.stated else "the default"
        default = self.defaults.get(name)
        if default is not None and _nearest(dimension, default) is not None:
            return default, "the default"
        place = "first choice" if isinstance(dimension, Choice) else "middle of the range"
        return _middle(dimension), f"the {place} here"


def _tried(
    space: Space,
    there: Mapping[str, Any],
    tree: Mapping[str, Any],
    *,
    preset: str | None,
    config_class: type[BaseModel] | None,
) -> _Fit:
    """The config, which means `there`, with this preset."""
    given = dict(there) | ({} if preset is None else {PRESET: preset})
    defaults = {} if config_class is None else flatten(_dump(config_class, {}))
    stated = frozenset({*flatten(tree), PRESET})
    fit = _Fit(space=space, given=given, stated=stated, defaults=defaults)
    _switch_off(fit, config_class)
    fit.run()
    if fit.params is not None:
        _compare(fit, config_class)
    return fit


def _compare(fit: _Fit, config_class: type[BaseModel] | None) -> None:
    """Note every setting that differs between there and here and has no note yet."""
    params, given = fit.params or {}, fit.given
    tree = fit.space.tree(params)
    try:
        here = _meant(tree, config_class)
    except ValidationError as error:
        assert config_class is not None  # noqa: S101 - who else would validate
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


def _switch_off(fit: _Fit, config_class: type[BaseModel] | None) -> None:
    """Say by a parameter of the space what the config says by a neutral value.

    Where this space cannot set distillation to none, alpha 0 means the same.
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


def _spread(made: StageWeights, value: object, notes: dict[str, str]) -> dict[str, float]:
    """The numbers of stage weights inside their bounds; what that changes is noted."""
    if not are_weights(value):
        middle = {part.name: float(_middle(part)) for part in made.parts}
        notes[made.name] = (
            f"{made.name} is not given there: {made.weights(middle)}, from the middle of the range"
        )
        return middle
    assert isinstance(value, list | tuple)  # noqa: S101 - are_weights
    numbers = clip_to_bounds(made, made.numbers(value))
    here, there = made.weights(numbers), normalise_weights(value)
    if len(here) != len(there) or any(
        abs(a - b) > WEIGHT_TOLERANCE for a, b in zip(here, there, strict=True)
    ):
        notes[made.name] = f"{made.name} {list(value)} -> {here}, the nearest here"
    return numbers


def _nearest(dimension: Dimension, value: object) -> Value:
    """The nearest value of the dimension; None where none is near."""
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
    steps = round((inside - dimension.low) / dimension.step)
    if isinstance(dimension, Integer):
        return dimension.low + steps * dimension.step
    return round(dimension.low + steps * dimension.step, 12)


def _middle(dimension: Dimension) -> Any:
    """The value in the middle of a range, the first of choices."""
    if isinstance(dimension, Choice):
        return dimension.choices[0]
    low, high = dimension.low, dimension.high
    middle = math.sqrt(low * high) if dimension.log else (low + high) / 2
    return _nearest(dimension, middle)


def _meant(tree: Mapping[str, Any], config_class: type[BaseModel] | None) -> dict[str, Any]:
    """What a config says by dotted name: all that has an effect, where its class is known."""
    if config_class is None:
        return flatten(tree)
    config = config_class.model_validate(tree)
    canonical = getattr(config, "canonical", None)
    return flatten(canonical() if canonical else config.model_dump(mode="json"))


def _dump(config_class: type[BaseModel], tree: Mapping[str, Any]) -> dict[str, Any]:
    return config_class.model_validate(tree).model_dump(mode="json")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
