"""`KEY=VALUE` settings from the command line, over those of a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spaces.files.complaints import Keys, dotted
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import YamlDocument, parse_yaml


@dataclass(frozen=True, kw_only=True, slots=True)
class OverriddenDocument(YamlDocument):
    """A file's mapping, with other values in it than the file's.

    Attributes:
        over: The keys, from the root, of the values that are not the file's.
        source: Where these came from, for messages.
    """

    over: frozenset[Keys]
    source: str

    def location_of(self, keys: Keys) -> str:
        """Where a value is: the file's line, or the source of what was laid over it.

        A rule about several values, of which only some were laid over, names these.
        """
        if any(keys[: len(each)] == each for each in self.over):
            return self.source
        place = str(self.path) if not keys else YamlDocument.location_of(self, keys)
        within = sorted(dotted(each) for each in self.over if each[: len(keys)] == keys)
        if within:
            return f"{place} with {', '.join(within)} from the {self.source}"
        return YamlDocument.location_of(self, keys)


def apply_overrides(document: YamlDocument, assignments: Sequence[str]) -> YamlDocument:
    """A document with `dotted.key=value` assignments laid over it; values are read as YAML.

    Raises:
        ConfigError: An assignment has no `=`, or its key runs through a value.
    """
    data = _copy(document.data)
    over = set[tuple[str, ...]]()
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ConfigError(
                f"--set takes KEY=VALUE, as in --set training.lr=1e-3, got {assignment!r}"
            )
        *parents, last = keys = tuple(key.split("."))
        over.add(keys)
        node = data
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise ConfigError(f"--set {key}: {parent} holds a value, not settings")
        node[last] = parse_yaml(f"value: {text}", Path("--set")).data["value"]
    return OverriddenDocument(
        path=document.path, data=data, lines=document.lines, over=frozenset(over), source="--set"
    )


def _copy(data: dict[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, dict) else v for k, v in data.items()}
