"""The architectures of a space: all of them by a walk, or those of random configs."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models import AnyModelConfig, ModelConfig
from search.suggest.suggestions import Suggestions
from spaces.conditions import grid_points, representatives
from spaces.dimensions import PRESET, Choice, Dimension
from spaces.space import Space
from spaces.trees import set_value
from trainable.config.trial_config import TrialConfig

MODEL = "model"

_ANY_MODEL: TypeAdapter[ModelConfig] = TypeAdapter(AnyModelConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architectures:
    """The distinct model configs in a space.

    Attributes:
        models: The model configs, in the order found.
        is_all: Whether all were walked. Otherwise `models` are those of a random sample.
        num_refused: Settings of the model, walked or sampled, that the model config rejects.
    """

    models: tuple[ModelConfig, ...]
    is_all: bool
    num_refused: int


def find_architectures(
    space: Space, *, max_walked: int, num_drawn: int, seed: int
) -> Architectures:
    """Return all architectures if the model's settings are discrete and few, else a sample.

    Args:
        space: A space of trial configs.
        max_walked: Most settings of the model to walk; a space with more is sampled.
        num_drawn: Random configs in the sample.
        seed: Seed of the sample.
    """
    settings: Iterable[Mapping[str, Any]]
    walked = None
    # `num_points` is None for a continuous dimension, which cannot be walked.
    if all(each.num_points() is not None for each in _deciding(space)):
        # One more than allowed shows that there are too many, without walking all of them.
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
    """Yield config trees in the order that a random search with this seed would try them."""
    suggestions = Suggestions(space, kind="random", seed=seed)
    for _ in range(num):
        if (suggestion := suggestions.suggest()) is not None:
            yield suggestion.tree


def _deciding(space: Space) -> tuple[Dimension, ...]:
    """Return the model's dimensions and those that decide whether one of them is active.

    One value of a deciding dimension represents all values with the same effect on conditions.
    """
    needed = {PRESET}
    chosen: list[Dimension] = []
    # Reversed: a condition names an earlier dimension, so one pass finds all that are needed.
    for each in reversed(space.dimensions):
        is_own = each.name.startswith(f"{MODEL}.") or each.name == PRESET
        if is_own or each.name in needed:
            chosen.append(each if is_own else _represented(each, chosen))
            needed |= {condition.parameter for condition in each.when}
    return tuple(reversed(chosen))


def _represented(dimension: Dimension, later: Sequence[Dimension]) -> Choice:
    """Return the dimension with one value for each distinct effect on conditions in `later`."""
    conditions = [
        condition
        for each in later
        for condition in each.when
        if condition.parameter == dimension.name
    ]
    values = tuple(value for value, _ in representatives(dimension, conditions))
    return Choice(name=dimension.name, choices=values, when=dimension.when)


def _walk(space: Space) -> Iterator[Mapping[str, Any]]:
    """Yield the model part of every combination of the deciding dimensions; it may repeat."""
    for params in grid_points(_deciding(space), space.fixed_values()):
        preset = params.get(PRESET)
        tree = space.base_tree(None if preset is None else str(preset))
        for name, value in params.items():
            if name.startswith(f"{MODEL}."):
                set_value(tree, name, value)
        yield tree.get(MODEL, {})
