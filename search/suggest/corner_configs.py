"""The configs of a space that decide whether a search can be run at all."""

import itertools
from collections.abc import Iterator

from pydantic import ValidationError

from spaces.dimensions import Dimension, Value
from spaces.space import Space
from trainable.config.trial_config import TrialConfig


def corner_configs(
    space: Space, names: frozenset[str]
) -> Iterator[tuple[dict[str, Value], TrialConfig]]:
    """Every combination of the values that decide, with the values and one config that has them.

    Numbers stand at their bounds, and what does not matter at its first value.

    Args:
        space: One of trial configs.
        names: The parameters that decide, by dotted name; the space need not vary them.
    """
    by_name = {dimension.name: dimension for dimension in space.dimensions}
    deciding = _with_conditions(by_name, names & by_name.keys())
    seen = set[tuple[tuple[str, Value], ...]]()
    for values in itertools.product(*(each.extremes() for each in deciding)):
        chosen = dict(zip((each.name for each in deciding), values, strict=True))
        params = space.params_with(chosen)
        active = {name: value for name, value in params.items() if name in chosen}
        if (key := tuple(active.items())) in seen:
            continue
        seen.add(key)
        try:
            yield active, TrialConfig.model_validate(space.tree(params))
        except ValidationError:  # no trial can be so; the space's own checks say why
            continue


def _with_conditions(by_name: dict[str, Dimension], names: frozenset[str]) -> list[Dimension]:
    """These dimensions and those that their conditions are on, in the space's order."""
    waiting, found = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in found:
            found.add(name)
            waiting += [condition.parameter for condition in by_name[name].when]
    return [dimension for name, dimension in by_name.items() if name in found]
