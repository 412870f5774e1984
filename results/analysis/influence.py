"""The sampled parameters in the order of their influence on the VEER, for tables.

Quick and without a forest, unlike the figures' importance (fANOVA): each parameter by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# With fewer trials any order would be chance.
MIN_TRIALS = 5
# Numbers of more than so many values are divided into groups of about the same size.
MAX_GROUPS = 4
NUM_BANDS = 3


def by_influence(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the parameters, that with the most influence first; ties keep their order.

    Args:
        names: Names of the parameters' columns.
        rows: Rows of the trials table. Those with a rank count, each run once.
    """
    ranked = [
        row
        for row in rows
        if row.get("rank") is not None
        and row.get("veer_pct") is not None
        and row["same_as"] is None
    ]
    if len(ranked) < MIN_TRIALS:
        return list(names)
    # Ranks, since a few very bad trials would decide everything else.
    place = np.empty(len(ranked))
    place[np.argsort([row["veer_pct"] for row in ranked], kind="stable")] = range(len(ranked))
    share = {name: _explained([row.get(name) for row in ranked], place) for name in names}
    return sorted(names, key=lambda name: -share[name])


def _explained(values: Sequence[object], place: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Return the share of the variance of the ranks between the groups of values.

    Adjusted for the number of groups, so below 0 where there is less than by chance.
    """
    group = _groups(values)
    num, num_groups = len(group), len(set(group))
    if num_groups < 2 or num_groups >= num:
        return 0.0
    members = [place[[each == name for each in group]] for name in sorted(set(group))]
    within = sum(len(own) * float(own.var()) for own in members)
    return 1.0 - within / (num * float(place.var())) * (num - 1) / (num - num_groups)


def _groups(values: Sequence[object]) -> list[str]:
    """Return a group for each value; a parameter without effect (None) is a group of its own."""
    numbers = {
        place: float(each)
        for place, each in enumerate(values)
        if isinstance(each, int | float) and not isinstance(each, bool)
    }
    has_others = len(numbers) + values.count(None) < len(values)
    groups = [repr(each) for each in values]
    if has_others or len(set(numbers.values())) <= MAX_GROUPS:
        return groups
    edges = np.quantile(list(numbers.values()), [n / NUM_BANDS for n in range(1, NUM_BANDS)])
    for place, number in numbers.items():
        groups[place] = f"band {np.searchsorted(edges, number, side='right')}"
    return groups
