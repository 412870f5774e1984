"""YAML files, read and written: one mapping per file, every value with its line.

Scalars follow YAML 1.2's core schema, not PyYAML's 1.1: `1e-3` is a number, `no` is a word,
`010` is ten and `1:30` is text. Anchors are supported; merge keys (`<<`) and custom tags are not.

A file may come from anyone, so its size, its depth and the number of values that its anchors stand
for are limited, and no tag builds an object.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from spaces.files.atomic import write_text_atomically
from spaces.files.complaints import Complaint, Keys, complaints, dotted, short_repr
from spaces.files.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)

MAX_BYTES = 2**20
# Usual configs have some 300 values in 6 levels; 1 kB of anchors can stand for 10^9 values.
MAX_VALUES = 100_000
MAX_LEVELS = 64
# `int(text)` takes quadratic time, and above 4300 digits Python refuses with an error of its own.
MAX_DIGITS = 400
# PyYAML quotes the text of the file in some messages.
MAX_PROBLEM_CHARS = 200
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
_TAG = "tag:yaml.org,2002:"
_COLLECTIONS = frozenset({_TAG + "map", _TAG + "seq"})
_CORE_SCHEMA = {
    "null": re.compile(r"^(~|null|Null|NULL|)$"),
    "bool": re.compile(r"^(true|True|TRUE|false|False|FALSE)$"),
    "int": re.compile(r"^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"),
    "float": re.compile(
        r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)"
        r"|\.(nan|NaN|NAN))$"
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class YamlDocument:
    """A parsed file.

    Attributes:
        path: The file.
        data: Its mapping; keys are strings at every level.
        lines: The line of every key and list item, counted from 1, by its keys from the root.
    """

    path: Path
    data: dict[str, Any]
    lines: Mapping[Keys, int]

    def line_of(self, keys: Keys) -> int:
        """Return the line, counted from 1, of the key or of its nearest parent in the file."""
        while keys not in self.lines:
            keys = keys[:-1]
        return self.lines[keys]

    def location_of(self, keys: Keys) -> str:
        """Return `FILE:LINE` of the key, for messages."""
        return f"{self.path}:{self.line_of(keys)}"


def read_yaml(path: Path) -> YamlDocument:
    """Read a file that holds one mapping.

    Raises:
        ConfigError: The file is missing, unreadable, empty, not YAML, not a mapping, gives a key
            twice, or is too large or too deep; with the line if known.
    """
    try:
        with path.open("rb") as file:
            # One byte more than allowed shows that a file is too long without reading all of it.
            content = file.read(MAX_BYTES + 1)
        # Editors on Windows put a byte order mark first, which is no part of the text.
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a path that holds NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: must have at most {MAX_BYTES:,} bytes, got more")
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path) -> YamlDocument:
    """Parse one mapping; `path` names its source in messages.

    Raises:
        ConfigError: As for `read_yaml`.
    """
    try:
        root = yaml.compose(text, Loader=_CoreLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = str(error.problem)[:MAX_PROBLEM_CHARS]
        raise ConfigError(f"{path}:{line}: not valid YAML: {problem}") from error
    # PyYAML recurses into every level before `_Parser` can count them.
    except RecursionError:
        raise ConfigError(
            f"{path}: must be nested in at most {MAX_LEVELS} levels, got more"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if root is None:
        raise ConfigError(f"{path}: the file is empty, a mapping is needed")
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path}:{root.start_mark.line + 1}: must be a mapping (key: value)")
    parser = _Parser(path)
    return YamlDocument(path=path, data=parser.value(root, ()), lines=parser.lines)


def load_model(cls: type[Model], document: YamlDocument) -> Model:
    """Validate a file's mapping and return the config.

    Raises:
        ConfigError: All broken rules, one a line: `FILE:LINE: key.path: rule, got VALUE`.
    """
    return _validated(cls, document.data, lambda found: document.location_of(found.keys))


def load_mapping(cls: type[Model], mapping: Mapping[str, Any], source: str) -> Model:
    """Validate a mapping that came from no file; `source` starts each line of the error.

    Raises:
        ConfigError: All broken rules, one a line: `SOURCE: key.path: rule, got VALUE`.
    """
    return _validated(cls, mapping, lambda _: source)


def write_yaml(path: Path, data: Mapping[str, Any]) -> None:
    """Write plain values atomically so that `read_yaml` returns equal ones, keys in order.

    Paths are written as text, tuples as lists.
    """
    write_text_atomically(path, yaml_text(data))


def yaml_text(data: Mapping[str, Any]) -> str:
    """Return a mapping as YAML: block style, lists of scalars in one row, keys in order."""
    return yaml.dump(dict(data), Dumper=_CoreDumper, sort_keys=False, allow_unicode=True, width=99)


def _validated(
    cls: type[Model], data: Mapping[str, Any], location: Callable[[Complaint], str]
) -> Model:
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        found = complaints(cls, error, data)
        raise ConfigError("\n".join(f"{location(each)}: {each}" for each in found)) from error


class _CoreLoader(yaml.SafeLoader):
    """Resolves scalars by YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {  # noqa: RUF012 - PyYAML's
        None: [(_TAG + name, pattern) for name, pattern in _CORE_SCHEMA.items()]
    }


class _CoreDumper(yaml.SafeDumper):
    """Quotes text that reads as another type in YAML 1.1 or 1.2."""

    def ignore_aliases(self, data: object) -> bool:
        # Else PyYAML writes an object that occurs twice as an anchor (`&id001`) and an alias.
        del data
        return True

    def represent_series(self, data: list[Any] | tuple[Any, ...]) -> yaml.Node:
        in_a_row = not any(isinstance(item, list | tuple | dict) for item in data)
        return self.represent_sequence(f"{_TAG}seq", data, flow_style=in_a_row)

    def represent_text(self, data: str) -> yaml.Node:
        # PyYAML folds these rare line ends to spaces unless it must escape them.
        style = '"' if re.search("[\x85\u2028\u2029]", data) else None
        return self.represent_scalar(f"{_TAG}str", data, style=style)


for _name, _pattern in _CORE_SCHEMA.items():
    _CoreDumper.add_implicit_resolver(_TAG + _name, _pattern, None)
_CoreDumper.add_representer(list, _CoreDumper.represent_series)
_CoreDumper.add_representer(str, _CoreDumper.represent_text)
_CoreDumper.add_representer(tuple, _CoreDumper.represent_series)
_CoreDumper.add_multi_representer(PurePath, lambda dumper, path: dumper.represent_str(str(path)))


class _Parser:
    """Converts the nodes of one file to values and records their lines."""

    def __init__(self, path: Path) -> None:
        self.lines: dict[Keys, int] = {}
        self._path = path
        self._open: list[yaml.Node] = []
        self._num_values = 0

    def value(self, node: yaml.Node, keys: Keys) -> Any:
        # The line of the key stays, where there is one: a nested value starts on a later line.
        self.lines.setdefault(keys, node.start_mark.line + 1)
        self._num_values += 1
        if self._num_values > MAX_VALUES:
            rule = f"must hold at most {MAX_VALUES:,} values, including those of anchors"
            raise self._error(node, f"{rule}, got more than {MAX_VALUES:,} values")
        if len(self._open) > MAX_LEVELS:
            raise self._error(node, f"must be nested in at most {MAX_LEVELS} levels, got more")
        # An anchor inside its own node would never end.
        if any(node is each for each in self._open):
            raise self._error(node, f"{dotted(keys)} contains itself")
        self._open.append(node)
        try:
            if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
                raise self._error(
                    node, f"cannot read a list or a mapping as {short_repr(node.tag)}"
                )
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, keys)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*keys, i)) for i, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, "a key must be a word, got a list or a mapping")
            if key_node.tag != f"{_TAG}str":
                raise self._error(
                    key_node, f"a key must be a word, got {short_repr(key)}; quote it"
                )
            self._refuse_unwritable(key_node)
            if key in mapping:
                first = self.lines[(*keys, key)]
                name = dotted((*keys, key))
                raise self._error(key_node, f"{name} is given twice, first in line {first}")
            self.lines[(*keys, key)] = line
            mapping[key] = self.value(value_node, (*keys, key))
        return mapping

    def _scalar(self, node: yaml.Node) -> object:
        kind, text = node.tag.removeprefix(_TAG), node.value
        self._refuse_unwritable(node)
        if kind == "str":
            return text
        if kind not in _CORE_SCHEMA or not _CORE_SCHEMA[kind].match(text):
            raise self._error(node, f"cannot read {short_repr(text)} as {short_repr(node.tag)}")
        if len(text) > MAX_DIGITS and kind in ("int", "float"):
            raise self._error(
                node, f"cannot read {short_repr(text)} as a number: at most {MAX_DIGITS} digits"
            )
        if kind == "int":
            # With base 0 Python refuses 010, which is ten in YAML 1.2.
            return int(text, 0) if text.startswith(("0x", "0o")) else int(text)
        if kind == "float":
            # Python reads `inf` and `nan` without the dot that YAML puts before them.
            return float(re.sub(r"\.(?=[a-zA-Z])", "", text))
        return None if kind == "null" else text.lower() == "true"

    def _refuse_unwritable(self, node: yaml.Node) -> None:
        if _UNWRITABLE.search(node.value):
            rule = "text must hold neither NUL nor half a surrogate pair (no file's name can)"
            raise self._error(node, f"{rule}, got {short_repr(node.value)}")

    def _error(self, node: yaml.Node, message: str) -> ConfigError:
        return ConfigError(f"{self._path}:{node.start_mark.line + 1}: {message}")
