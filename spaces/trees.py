"""Config trees: nested mappings, whose values are named by dotted keys, as `loss.alpha`."""

import copy
from collections.abc import Mapping
from typing import Any


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a tree by dotted name."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": leaf for name, leaf in flatten(value).items()}
        else:
            found[key] = value
    return found


def merge_trees(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """The trees laid over each other, the last on top; a copy, which the caller owns."""
    result: dict[str, Any] = {}
    for tree in trees:
        for key, value in tree.items():
            below = result.get(key)
            is_part = isinstance(below, Mapping) and isinstance(value, Mapping)
            result[key] = merge_trees(below or {}, value) if is_part else copy.deepcopy(value)
    return result


def set_value(tree: dict[str, Any], name: str, value: object) -> None:
    """Set a value by its dotted name."""
    *parents, key = name.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[key] = value


def drop_values(
    tree: Mapping[str, Any], names: frozenset[str], prefix: str = ""
) -> dict[str, Any]:
    """The tree without the values of these dotted names."""
    return {
        key: drop_values(value, names, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in tree.items()
        if prefix + key not in names
    }
