"""`KEY=VALUE` settings from the command line that override those of a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spaces.files.complaints import Keys, dotted
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import YamlDocument, parse_yaml


@dataclass(frozen=True, kw_only=True, slots=True)
class OverriddenDocument(YamlDocument):
    """A file's mapping in which some values were replaced.

    Attributes:
        overridden: The keys, from the root, of the values that are not the file's.
        source: Where those values came from, for messages.
    """

    overridden: frozenset[Keys]
    source: str

    def location_of(self, keys: Keys) -> str:
        """Return where a value comes from: the file's line, or the source of its override.

        For a rule about several values of which only some were overridden, name these too.
        """
        if any(keys[: len(each)] == each for each in self.overridden):
            return self.source
        location = str(self.path) if not keys else YamlDocument.location_of(self, keys)
        within = sorted(dotted(each) for each in self.overridden if each[: len(keys)] == keys)
        if within:
            return f"{location} with {', '.join(within)} from the {self.source}"
        return YamlDocument.location_of(self, keys)


def apply_overrides(document: YamlDocument, assignments: Sequence[str]) -> YamlDocument:
    """Return a document with `dotted.key=value` assignments applied; values are read as YAML.

    Raises:
        ConfigError: An assignment has no `=`, or a part of its key names a value, not settings.
    """
    data = _copy(document.data)
    overridden = set[tuple[str, ...]]()
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ConfigError(
                f"--set takes KEY=VALUE, as in --set training.lr=1e-3, got {assignment!r}"
            )
        *parents, last = keys = tuple(key.split("."))
        overridden.add(keys)
        node = data
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise ConfigError(f"--set {key}: {parent} holds a value, not settings")
        # As YAML, so that a value has the type that it would have in a file.
        node[last] = parse_yaml(f"value: {text}", Path("--set")).data["value"]
    return OverriddenDocument(
        path=document.path,
        data=data,
        lines=document.lines,
        overridden=frozenset(overridden),
        source="--set",
    )


def _copy(data: dict[str, Any]) -> dict[str, Any]:
    # Lists stay shared: an assignment replaces a list as a whole.
    return {k: _copy(v) if isinstance(v, dict) else v for k, v in data.items()}
