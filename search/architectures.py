"""The points of a space and its architectures: counted, walked, or drawn."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models import AnyModelConfig, ModelConfig
from search.suggestions import Suggestions
from spaces.conditions import Params
from spaces.dimensions import Choice, Dimension, Float, Integer, Value
from spaces.space import Space
from trainable.config import TrialConfig

MODEL = "model"

_ANY_MODEL: TypeAdapter[ModelConfig] = TypeAdapter(AnyModelConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architectures:
    """The distinct model parts that a space's configs have.

    Attributes:
        models: In the order found.
        is_all: Whether the space was walked; else so many as random configs happen to have.
        num_refused: Settings of the model, walked or drawn, that its config refuses.
    """

    models: tuple[ModelConfig, ...]
    is_all: bool
    num_refused: int


def find_architectures(
    space: Space, *, max_walked: int, num_drawn: int, seed: int
) -> Architectures:
    """All architectures where the model's settings are discrete and few, else those of a sample.

    Args:
        space: One of trial configs.
        max_walked: Settings of the model that are walked at most.
        num_drawn: Random configs drawn where it is more.
        seed: Of what is drawn.
    """
    settings: Iterable[Mapping[str, Any]]
    walked = None
    if all(values_of(each) is not None for each in _deciding(space)):
        walked = list(itertools.islice(_walk(space), max_walked + 1))
    if walked is not None and len(walked) <= max_walked:
        settings = walked
    else:
        walked = None
        settings = (tree.get(MODEL, {}) for tree in drawn_trees(space, num_drawn, seed))
    models: dict[str, ModelConfig] = {}
    refused = set[str]()
    for each in settings:
        try:
            model = _ANY_MODEL.validate_python(each) if each else TrialConfig().model
        except ValidationError:
            refused.add(json.dumps(each, sort_keys=True))
            continue
        models.setdefault(model.model_dump_json(), model)
    return Architectures(
        models=tuple(models.values()), is_all=walked is not None, num_refused=len(refused)
    )


def drawn_trees(space: Space, num: int, seed: int) -> Iterator[dict[str, Any]]:
    """Config trees as a random search with this seed would try them."""
    suggestions = Suggestions(space, kind="random", seed=seed)
    for _ in range(num):
        if (suggestion := suggestions.suggest()) is not None:
            yield suggestion.tree


def num_points(space: Space) -> int | None:
    """How many settings of the space there are, None where a range is continuous."""
    if any(values_of(dimension) is None for dimension in space.dimensions):
        return None
    return _count(space, 0, {})


def values_of(dimension: Dimension) -> tuple[Value, ...] | None:
    """All values of a dimension, None where there are too many to name."""
    match dimension:
        case Choice(choices=choices):
            return choices
        case Integer(low=low, high=high, step=step):
            return tuple(range(low, high + 1, step))
        case Float(low=low, high=high, step=float(step)):
            num_steps = round((high - low) / step)
            return (*(low + number * step for number in range(num_steps)), high)
        case Float(low=low, high=high) if low == high:
            return (low,)
        case _:
            return None


def _count(space: Space, place: int, params: Params) -> int:
    """Settings of the dimensions from `place` on, the earlier ones being `params`.

    Values that meet the same conditions of other dimensions lead to equally many, so one of each
    kind is followed.
    """
    if place == len(space.dimensions):
        return 1
    dimension = space.dimensions[place]
    if not _is_active(dimension, space, params):
        return _count(space, place + 1, params)
    conditions = [
        condition
        for each in space.dimensions
        for condition in each.when
        if condition.parameter == dimension.name
    ]
    kinds: dict[tuple[bool, ...], list[Value]] = {}
    for value in values_of(dimension) or ():
        kind = tuple(condition.allows(value) for condition in conditions)
        kinds.setdefault(kind, []).append(value)
    return sum(
        len(values) * _count(space, place + 1, {**params, dimension.name: values[0]})
        for values in kinds.values()
    )


def _deciding(space: Space) -> tuple[Dimension, ...]:
    """The model's dimensions and those that decide whether one of them is active."""
    needed = set[str]()
    chosen: list[Dimension] = []
    for dimension in reversed(space.dimensions):
        if dimension.name.startswith(f"{MODEL}.") or dimension.name in needed:
            chosen.append(dimension)
            needed |= {condition.parameter for condition in dimension.when}
    return tuple(reversed(chosen))


def _walk(space: Space) -> Iterator[Mapping[str, Any]]:
    """The model part of every setting of what decides the model; a part may come twice."""
    dimensions = _deciding(space)
    part = Space(name=space.name, fixed=space.fixed, dimensions=dimensions)

    def follow(place: int, params: Params) -> Iterator[Params]:
        if place == len(dimensions):
            yield params
            return
        dimension = dimensions[place]
        if not _is_active(dimension, space, params):
            yield from follow(place + 1, params)
            return
        for value in values_of(dimension) or ():
            yield from follow(place + 1, {**params, dimension.name: value})

    for params in follow(0, {}):
        yield part.tree(params).get(MODEL, {})


def _is_active(dimension: Dimension, space: Space, params: Params) -> bool:
    known = {**space.fixed_values(), **params}
    return all(
        condition.parameter in known and condition.allows(known[condition.parameter])
        for condition in dimension.when
    )
