"""Imports run one way, between packages and between rooms inside them; Ray stays at the border.

A room is a folder with an `__init__.py`, whose docstring names what its files may import.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "spaces", "trainable", "results", "search")
FILES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
ROOMS = sorted({file.parent.relative_to(ROOT) for file in FILES})
MAX_LINES = 300
# What a user of Ray may import it in: the trainable class, and the search.
RAY = (Path("trainable/training/ray_trial.py"), Path("search"))
# The rooms of the search that decide what it does, and play that without a cluster.
DECIDING = ("config", "guided", "suggest", "loop", "simulation", "students", "prediction")
# What estimates before a search starts.
RAY_FREE = ("feasibility", "forecast", "largest_step", "space_report")


def imported(file: Path) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of every import of a file, wherever in it, `TYPE_CHECKING` included.

    `from a import b` gives `a.b` where that is a module, else `a`.
    """
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: write imports from the root"
            module = node.module or ""
            for alias in node.names:
                name = f"{module}.{alias.name}"
                yield (name if name in MODULES else module), node.lineno


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in FILES}


def room_of(module: str) -> str:
    return ".".join(MODULES[module].parent.relative_to(ROOT).parts)


def declared(init: Path) -> list[str]:
    """The packages that a room may import, by the docstring of its `__init__.py`."""
    doc = ast.get_docstring(ast.parse(init.read_text())) or ""
    line = re.search(r"^May import: (.+?)\.$", doc, re.DOTALL | re.MULTILINE)
    assert line, f"{init}: the docstring must end with 'May import: ROOM, ROOM.'"
    return [] if line[1].startswith("nothing") else re.split(r",\s+", line[1])


def covers(name: str, module: str) -> bool:
    return module == name or module.startswith(f"{name}.")


def circles(imports: Mapping[str, set[str]]) -> list[str]:
    """The names that cannot be put in an order in which each imports only earlier ones."""
    waiting = {name: set(others) - {name} for name, others in imports.items()}
    while free := [name for name, others in waiting.items() if not others & waiting.keys()]:
        for name in free:
            del waiting[name]
    return sorted(waiting)


@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_a_room_imports_only_what_it_declares(room: Path) -> None:
    here = ".".join(room.parts)
    allowed = declared(ROOT / room / "__init__.py")
    found = {
        name: f"{file.name}:{line}"
        for file in sorted((ROOT / room).glob("*.py"))
        for name, line in imported(file)
        if name in MODULES and room_of(name) != here
    }
    wrong = {k: v for k, v in found.items() if not any(covers(name, k) for name in allowed)}
    assert not wrong, f"{here} may import only {allowed}"
    unused = [name for name in allowed if not any(covers(name, k) for k in found)]
    assert not unused, f"{here}/__init__.py names rooms that it does not import: {unused}"


def test_no_file_and_no_room_imports_in_a_circle() -> None:
    files = {
        module: {name for name, _ in imported(file) if name in MODULES}
        for module, file in MODULES.items()
    }
    assert circles(files) == []
    rooms: dict[str, set[str]] = {}
    for module, others in files.items():
        rooms.setdefault(room_of(module), set()).update(map(room_of, others))
    assert circles(rooms) == []
    packages: dict[str, set[str]] = {}
    for room, others in rooms.items():
        packages.setdefault(room.split(".")[0], set()).update(o.split(".")[0] for o in others)
    assert circles(packages) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_ray_is_imported_only_by_the_trial_and_the_search(file: Path) -> None:
    place = file.relative_to(ROOT)
    if any(place.is_relative_to(allowed) for allowed in RAY):
        return
    assert "ray" not in {name.split(".")[0] for name, _ in imported(file)}


def test_what_decides_a_search_imports_no_ray() -> None:
    for room in DECIDING:
        for file in (ROOT / "search" / room).glob("*.py"):
            assert "ray" not in {name.split(".")[0] for name, _ in imported(file)}, file


def test_what_decides_a_search_loads_no_ray() -> None:
    files = [each for room in DECIDING for each in (ROOT / "search" / room).glob("*.py")]
    estimates = [ROOT / "search" / "estimates" / f"{name}.py" for name in RAY_FREE]
    modules = ", ".join(map(module_of, [*files, *estimates]))
    code = f"import sys, {modules}; raise SystemExit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_rules_catch_a_breach(tmp_path: Path) -> None:
    breach = tmp_path / "breach.py"
    breach.write_text("def f():\n    from search.run.run_search import x\n    import ray.tune\n")
    assert list(imported(breach)) == [("search.run.run_search", 2), ("ray.tune", 3)]
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]
    init = tmp_path / "__init__.py"
    init.write_text('"""A room.\n\nMay import: spaces, trainable.loss.\n"""\n')
    assert declared(init) == ["spaces", "trainable.loss"]
    assert covers("spaces", "spaces.files.errors")
    assert not covers("spaces", "spacesuit")


def test_a_public_function_or_class_has_one_meaning() -> None:
    """Commands may have the name of what they run; a script's `main` is its own.

    `models.plain` is copied, not imported: it has the names that its readers know.
    """
    found: dict[str, list[str]] = {}
    elsewhere = ("search.cli", "trainable.foreign_models.plugin_worker", "models.plain.")
    for module, file in MODULES.items():
        if module.startswith(elsewhere):
            continue
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
                found.setdefault(node.name, []).append(module)
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def test_files_are_small() -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for file in [*FILES, *(ROOT / "tests").rglob("*.py")]
    }
    assert {file: length for file, length in lengths.items() if length > MAX_LINES} == {}


def test_no_other_code_folders() -> None:
    folders = {file.relative_to(ROOT).parts[0] for file in ROOT.glob("*/**/*.py")}
    hidden = {name for name in folders if name.startswith(".")}
    assert folders - hidden <= {*PACKAGES, "tests", "build", "runs", "data"}
