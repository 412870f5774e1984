"""Config trees: nested mappings with values named by dotted keys, such as `loss.alpha`."""

import copy
from collections.abc import Mapping
from typing import Any


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a tree by dotted name."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": leaf for name, leaf in flatten(value).items()}
        else:
            found[key] = value
    return found


def merge_trees(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """Merge trees into a new one; on a conflict the last tree wins."""
    result: dict[str, Any] = {}
    for tree in trees:
        for key, value in tree.items():
            below = result.get(key)
            are_trees = isinstance(below, Mapping) and isinstance(value, Mapping)
            # Copied, so that a later `set_value` does not change the presets of a space.
            result[key] = merge_trees(below or {}, value) if are_trees else copy.deepcopy(value)
    return result


def set_value(tree: dict[str, Any], name: str, value: object) -> None:
    """Set a value by its dotted name; create missing parents."""
    *parents, key = name.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[key] = value


def drop_values(
    tree: Mapping[str, Any], names: frozenset[str], prefix: str = ""
) -> dict[str, Any]:
    """Return a copy of the tree without the values of these dotted names."""
    return {
        key: drop_values(value, names, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in tree.items()
        if prefix + key not in names
    }
