"""The documentation names files, functions, rooms and imports that exist."""

import ast
import re
from pathlib import Path

import pytest

from tests.test_import_rules import MODULES, ROOMS, ROOT, imported, room_of

PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "results" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
# Nodes of the diagram that stand for the files directly in a package.
OWN_FILES = "_own"


def room(node: str) -> str:
    """The room that a node of the diagram stands for: `search_ray_tune` is `search.ray_tune`."""
    return node.removesuffix(OWN_FILES).replace("_", ".", 1)


def room_imports() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for module, file in MODULES.items():
        others = {room_of(name) for name, _ in imported(file) if name in MODULES}
        found.setdefault(room_of(module), set()).update(others - {room_of(module)})
    return found


def functions(file: Path) -> set[str]:
    """Names of a file's functions and classes, methods as `Class.method`."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
            inner = node.body if isinstance(node, ast.ClassDef) else []
            methods = (each.name for each in inner if isinstance(each, ast.FunctionDef))
            names.update(f"{node.name}.{name}" for name in methods)
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_files_exist(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]*)", text)
    missing = [link for link in links if link and not (page.parent / link).exists()]
    files = re.findall(r"`((?:models|spaces|trainable|results|search|tests)/[\w/]*\.py)", text)
    missing += [file for file in files if not (ROOT / file).is_file()]
    modules = re.findall(r"python -m ((?:results|tests|search|trainable)[\w.]*)", text)
    missing += [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").is_file()]
    assert not missing


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as a Markdown viewer makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_sections_that_links_name_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text())
    missing = [
        (file, section)
        for file, section in links
        if section not in anchors(page.parent / file if file else page)
    ]
    assert not missing


def test_each_step_of_a_walk_exists() -> None:
    steps = re.findall(r"`([\w/]+\.py): ([\w.]+)`", ARCHITECTURE)
    assert len(steps) > 30
    assert [step for step in steps if step[1] not in functions(ROOT / step[0])] == []


def test_the_diagram_has_each_room_and_only_imports_that_exist() -> None:
    imports = room_imports()
    nodes = {room(node) for node in re.findall(r"^ +(\w+)\[", ARCHITECTURE, re.MULTILINE)}
    with_code = {name for name, others in imports.items() if others}
    leaves = {name for others in imports.values() for name in others}
    assert nodes == with_code | leaves
    arrows = re.findall(r"(\w+) --> (\w+)", ARCHITECTURE)
    assert [arrow for arrow in arrows if room(arrow[1]) not in imports[room(arrow[0])]] == []
    thick = re.findall(r"(\w+) ==> (\w+)", ARCHITECTURE)
    pairs = [(name, other) for name, others in imports.items() for other in others]
    packages = {(name.split(".")[0], other.split(".")[0]) for name, other in pairs}
    assert [arrow for arrow in thick if arrow not in packages] == []


def test_the_readme_has_each_room() -> None:
    tree = (ROOT / "README.md").read_text().partition("## The tree")[2]
    package, listed = "", set()
    for indent, name in re.findall(r"^( *)(\w+)/ ", tree, re.MULTILINE):
        package = package if indent else name
        listed.add(Path(package) / name if indent else Path(name))
    assert listed - {Path("tests"), Path("deploy")} == set(ROOMS)
