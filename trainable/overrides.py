"""`KEY=VALUE` settings from the command line, over those of a file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spaces.errors import ConfigError
from spaces.yaml_file import YamlDocument, parse_yaml


def apply_overrides(document: YamlDocument, assignments: Sequence[str]) -> YamlDocument:
    """A document with `dotted.key=value` assignments laid over it; values are read as YAML.

    Raises:
        ConfigError: An assignment has no `=`, or its key runs through a value.
    """
    data = _copy(document.data)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ConfigError(
                f"--set takes KEY=VALUE, as in --set training.lr=1e-3, got {assignment!r}"
            )
        *parents, last = key.split(".")
        node = data
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise ConfigError(f"--set {key}: {parent} holds a value, not settings")
        node[last] = parse_yaml(f"value: {text}", Path("--set")).data["value"]
    return replace(document, data=data)


def _copy(data: dict[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, dict) else v for k, v in data.items()}
