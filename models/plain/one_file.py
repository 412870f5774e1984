"""One file of Python with a network of this room and all that it uses of Veer.

Definitions are copied as they are written, comments too, each after those that it uses.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOUSE = "models"
ENTRY = "MainModel"
# The file of each family; a decoder is left out, since only the training by Veer uses it.
FILES: Mapping[str, str] = {
    "mlp_mixer": "mlp_mixer",
    "mlp_mixer_free": "mlp_mixer_free",
    "mlp_mixer_hybrid": "mlp_mixer_hybrid",
    "mlp_mixer_autoencoder": "mlp_mixer",
    "lstm_autoencoder": "lstm_autoencoder",
    "resnet_se34l": "resnet_se34l",
    "ecapa_tdnn": "ecapa_tdnn",
    "next_tdnn": "next_tdnn",
    "campplus": "campplus",
}
_FOR_CHECKERS = re.compile(r"  # (type: ignore|noqa)\b.*$", re.MULTILINE)
_LEGEND = """\
The names of tensors end with their dimensions: B batch, S samples, T frames, K bins of the
spectrum, F mel bins, C channels, D embedding, G groups, I inputs, O outputs, Z several of these in
one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Module:
    """A module's text and what its top level defines.

    Attributes:
        lines: Its lines.
        definitions: Its functions, classes and constants.
        borrowed: Names imported from Veer, with the module of each.
        foreign: Names imported from elsewhere, with (module, name in it or None, alias).
    """

    lines: list[str]
    definitions: dict[str, ast.stmt]
    borrowed: dict[str, str]
    foreign: dict[str, tuple[str, str | None, str]]


@dataclass(slots=True, kw_only=True)
class _Collected:
    """What was found to be needed, in the order in which it can be written.

    Attributes:
        values: Constants to fill in, by name.
        owners: Module of each definition, in order.
        foreign: Imports from elsewhere.
    """

    values: Mapping[str, object]
    owners: dict[str, str] = field(default_factory=dict)
    foreign: set[tuple[str, str | None, str]] = field(default_factory=set)

    def add(self, module: str, name: str) -> None:
        """Add a name of a module after all that its definition uses.

        Raises:
            ValueError: Two modules define the name.
        """
        found = _read(module)
        if name in found.borrowed:
            self.add(found.borrowed[name], name)
        elif name in found.foreign:
            self.foreign.add(found.foreign[name])
        elif name in found.definitions and self.owners.get(name) != module:
            if name in self.owners:
                raise ValueError(f"{name} is in {self.owners[name]} and in {module}")
            for used in _names(found.definitions[name]):
                if used != name:
                    self.add(module, used)
            self.owners[name] = module

    def text(self, name: str) -> str:
        """Return the text of a definition, with the comment above it."""
        if name in self.values:
            value = self.values[name]
            return f"{name} = {json.dumps(value) if isinstance(value, str) else repr(value)}"
        found = _read(self.owners[name])
        node = found.definitions[name]
        first = min([node.lineno, *(each.lineno for each in _decorators(node))]) - 1
        while found.lines[first - 1].startswith("#"):
            first -= 1
        text = "\n".join(found.lines[first : node.end_lineno])
        return _FOR_CHECKERS.sub("", text)


def one_file(family: str, settings: Mapping[str, object], note: str) -> str:
    """Return the text of a file that defines `MainModel` and imports nothing of Veer.

    Args:
        family: A key of `FILES`.
        settings: The settings of the family; constants of the same names get their values.
        note: A paragraph for the beginning of the file, in lines of at most 99 characters.
    """
    module = f"{__name__.rpartition('.')[0]}.{FILES[family]}"
    collected = _Collected(values={name.upper(): each for name, each in settings.items()})
    collected.add(module, ENTRY)
    constants = [name for name in collected.owners if _is_constant(collected, name)]
    filled = [name for name in collected.values if name in constants]
    others = [name for name in constants if name not in collected.values]
    rest = [name for name in collected.owners if name not in constants]
    doc = ast.get_docstring(ast.parse("\n".join(_read(module).lines))) or ""
    summary = doc.partition("\n")[0]
    parts = [
        f'"""{summary}\n\n{note}\n\n{_LEGEND}\n"""\n\nfrom __future__ import annotations',
        "\n".join(_import_lines(collected.foreign)),
        "# The architecture.\n" + "\n".join(map(collected.text, filled)),
        "# What is the same in every model.\n" + "\n".join(map(collected.text, others)),
    ]
    return "\n\n".join(parts) + "\n" + "".join(f"\n\n{collected.text(each)}\n" for each in rest)


@cache
def _read(module: str) -> _Module:
    text = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text()
    found = _Module(lines=text.splitlines(), definitions={}, borrowed={}, foreign={})
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.definitions[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.definitions[node.targets[0].id] = node
        elif isinstance(node, ast.Import):
            for each in node.names:
                alias = each.asname or each.name
                found.foreign[alias] = (each.name, None, alias)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for each in node.names:
                alias = each.asname or each.name
                if node.module.partition(".")[0] == HOUSE:
                    found.borrowed[alias] = node.module
                else:
                    found.foreign[alias] = (node.module, each.name, alias)
    return found


def _names(node: ast.AST) -> list[str]:
    return [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]


def _decorators(node: ast.stmt) -> list[ast.expr]:
    return node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []


def _is_constant(collected: _Collected, name: str) -> bool:
    node = _read(collected.owners[name]).definitions[name]
    return isinstance(node, ast.Assign)


def _import_lines(foreign: set[tuple[str, str | None, str]]) -> Iterator[str]:
    """Yield import statements: Python's own, an empty line, others; those of modules first."""
    own = {each for each in foreign if each[0].partition(".")[0] in sys.stdlib_module_names}
    for number, group in enumerate(filter(None, (own, foreign - own))):
        if number:
            yield ""
        members: dict[str, list[str]] = {}
        for module, name, alias in sorted(group, key=lambda each: (each[0], each[1] or "")):
            if name is None:
                yield f"import {module}" + ("" if module == alias else f" as {alias}")
            else:
                renamed = name if name == alias else f"{name} as {alias}"
                members.setdefault(module, []).append(renamed)
        for module, names in members.items():
            yield f"from {module} import {', '.join(names)}"
