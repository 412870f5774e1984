"""Space files: the tree of a config class, with ranges in place of values.

A range stands where the config has a value, and is a mapping:

    choices: [a, b]                     one of these
    low: 1, high: 8                     a number between closed bounds, whole if the config's is
    log: true                           evenly on a log scale
    step: 2                             low, low + 2, ...
    when: {loss.distillation: mse}      only where another parameter has this value, or one of
                                        a list of values
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from spaces.complaints import Complaint, Keys, complaints, did_you_mean, dotted, models_in
from spaces.dimensions import Choice, Dimension, Float, Integer
from spaces.errors import ConfigError
from spaces.probing import condition_complaints, probe_complaints
from spaces.space import Space, in_order
from spaces.yaml_file import YamlDocument, read_yaml

PRESETS_DIR = Path(__file__).parent / "presets"


def bundled_spaces() -> dict[str, Path]:
    """The spaces that come with Veer: name to file."""
    return {path.stem: path for path in sorted(PRESETS_DIR.glob("*.yaml"))}


def read_space(source: str | Path, config_class: type[BaseModel]) -> Space:
    """Read a space and check it against the config that its values will go into.

    Args:
        source: A file, or as text the name of a bundled space.
        config_class: What `Space.tree` must be valid for. Each bound and each choice is tried.

    Raises:
        ConfigError: Every mistake found, one a line: `FILE:LINE: key.path: rule, got VALUE`.
    """
    document = read_yaml(_file(source))
    reader = _Reader()
    reader.read(document.data, (), [config_class])
    _refuse(document, reader.faults)
    if not reader.dimensions:
        raise ConfigError(
            f"{document.path}: nothing to search: no setting has choices or low and high"
        )
    dimensions = tuple(reader.dimensions)
    _refuse(document, condition_complaints(dimensions, reader.fixed))
    try:
        dimensions = in_order(dimensions)
    except ValueError as error:
        raise ConfigError(f"{document.path}: {error}") from error
    space = Space(name=document.path.stem, fixed=reader.fixed, dimensions=dimensions)
    _refuse(document, probe_complaints(space, config_class))
    return space


def _file(source: str | Path) -> Path:
    bundled = bundled_spaces()
    if isinstance(source, str) and source in bundled:
        return bundled[source]
    if isinstance(source, str) and not Path(source).exists():
        hint = did_you_mean(source, bundled)
        raise ConfigError(f"no space file or bundled space {source!r}{hint}")
    return Path(source)


def _refuse(document: YamlDocument, faults: list[Complaint]) -> None:
    if faults:
        lines = (f"{document.place_of(fault.keys)}: {fault}" for fault in dict.fromkeys(faults))
        raise ConfigError("\n".join(lines))


class _Reader:
    """Parts a tree into fixed values and dimensions, and notes what fits nowhere."""

    def __init__(self) -> None:
        self.fixed: dict[str, Any] = {}
        self.dimensions: list[Dimension] = []
        self.faults: list[Complaint] = []

    def read(
        self, node: Mapping[str, Any], keys: tuple[str, ...], classes: list[type[BaseModel]]
    ) -> None:
        """Read the part of the tree at `keys`, where one of the classes will stand."""
        annotations = _annotations(_fitting(classes, node))
        for key, value in node.items():
            here = (*keys, key)
            if key not in annotations:
                self._complain(here, f"unknown key{did_you_mean(key, annotations)}")
                continue
            inner = [model for each in annotations[key] for model in models_in(each)]
            if not isinstance(value, Mapping) or _mappings_in(annotations[key]):
                self._fix(here, value)
            elif inner:
                self.read(value, here, inner)
            else:
                self._vary(here, value, annotations[key])

    def _fix(self, keys: tuple[str, ...], value: object) -> None:
        node = self.fixed
        for parent in keys[:-1]:
            node = node.setdefault(parent, {})
        node[keys[-1]] = value

    def _vary(self, keys: Keys, spec: Mapping[str, Any], annotations: list[object]) -> None:
        kind = Choice if "choices" in spec else _number_kind(annotations)
        if kind is None:
            return self._complain(keys, "takes no number: give its values as choices: [...]")
        known = [name for name in kind.model_fields if name != "name"]
        for key in spec:
            if key not in known:
                self._complain((*keys, key), f"unknown key{did_you_mean(key, known)}")
        data = {key: value for key, value in spec.items() if key in known}
        try:
            self.dimensions.append(kind.model_validate({**data, "name": dotted(keys)}))
        except ValidationError as error:
            for fault in complaints(kind, error, data):
                self._complain((*keys, *fault.keys), fault.text)
        return None

    def _complain(self, keys: Keys, text: str) -> None:
        self.faults.append(Complaint(keys=keys, text=text))


def _fitting(classes: list[type[BaseModel]], node: Mapping[str, Any]) -> list[type[BaseModel]]:
    """The classes of a union whose literal fields allow what the node fixes (its `family`)."""

    def allows(model: type[BaseModel]) -> bool:
        literal = {
            name: get_args(field.annotation)
            for name, field in model.model_fields.items()
            if get_origin(field.annotation) is Literal and isinstance(node.get(name), str)
        }
        return all(node[name] in values for name, values in literal.items())

    return (list(filter(allows, classes)) if len(classes) > 1 else []) or classes


def _annotations(classes: list[type[BaseModel]]) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for model in classes:
        for name, field in model.model_fields.items():
            found.setdefault(name, []).append(field.annotation)
    return found


def _types_in(annotation: object) -> set[object]:
    inner = get_args(annotation) if get_origin(annotation) is not Literal else ()
    return {get_origin(annotation) or annotation}.union(*map(_types_in, inner))


def _mappings_in(annotations: list[object]) -> bool:
    types = set().union(*map(_types_in, annotations))
    return any(isinstance(each, type) and issubclass(each, Mapping) for each in types)


def _number_kind(annotations: list[object]) -> type[Float] | type[Integer] | None:
    types = set().union(*map(_types_in, annotations))
    if float in types:
        return Float
    return Integer if int in types else None
