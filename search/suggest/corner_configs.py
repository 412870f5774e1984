"""The corner configs of a space: checks that hold for them hold for every trial of a search."""

import itertools
from collections.abc import Iterator

from pydantic import ValidationError

from spaces.dimensions import Dimension, Value
from spaces.space import Space
from trainable.config.trial_config import TrialConfig


def corner_configs(
    space: Space, names: frozenset[str]
) -> Iterator[tuple[dict[str, Value], TrialConfig]]:
    """Yield every combination of extreme values of some parameters, each with one config.

    Numeric parameters take their bounds, categorical ones every choice; all other parameters take
    their first value.

    Args:
        space: A space of trial configs.
        names: Dotted names of the parameters that matter; the space need not vary them.

    Yields:
        The values of the active parameters among them, and a config that has them.
    """
    by_name = {dimension.name: dimension for dimension in space.dimensions}
    # A parameter under a condition takes its values only where the condition holds.
    corners = _with_conditions(by_name, names & by_name.keys())
    seen = set[tuple[tuple[str, Value], ...]]()
    for values in itertools.product(*(each.extremes() for each in corners)):
        chosen = dict(zip((each.name for each in corners), values, strict=True))
        # Drops the values whose conditions do not hold, so different choices may coincide.
        params = space.params_with(chosen)
        active = {name: value for name, value in params.items() if name in chosen}
        if (key := tuple(active.items())) in seen:
            continue
        seen.add(key)
        try:
            yield active, TrialConfig.model_validate(space.tree(params))
        except ValidationError:  # no trial can have it; the space's own checks report why
            continue


def _with_conditions(by_name: dict[str, Dimension], names: frozenset[str]) -> list[Dimension]:
    """Return the dimensions and those that their conditions refer to, in the space's order."""
    waiting, found = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in found:
            found.add(name)
            waiting += [condition.parameter for condition in by_name[name].when]
    return [dimension for name, dimension in by_name.items() if name in found]
