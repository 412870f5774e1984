"""Imports run one way, and Ray stays at the border."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "spaces", "trainable", "results", "search")
MAY_IMPORT = {
    "models": {"spaces"},
    "spaces": set(),
    "trainable": {"models", "spaces"},
    "results": {"models", "spaces", "trainable"},
    "search": {"models", "spaces", "trainable", "results"},
}
FILES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


def imported(file: Path) -> Iterator[tuple[str, int]]:
    """(top-level name, line) of every import of a file, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: write imports from the root"
            yield (node.module or "").split(".")[0], node.lineno


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_package_imports_only_what_stands_below_it(file: Path) -> None:
    package = file.relative_to(ROOT).parts[0]
    allowed = MAY_IMPORT[package] | {package}
    wrong = [(n, line) for n, line in imported(file) if n in PACKAGES and n not in allowed]
    assert not wrong


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_ray_is_imported_by_the_trial_and_the_search_alone(file: Path) -> None:
    place = file.relative_to(ROOT)
    if place.parts[0] == "search" or place == Path("trainable/training/ray_trial.py"):
        return
    assert "ray" not in {name for name, _ in imported(file)}


def test_the_rules_see_every_package_and_catch_a_breach(tmp_path: Path) -> None:
    assert {file.relative_to(ROOT).parts[0] for file in FILES} == set(PACKAGES)
    breach = tmp_path / "breach.py"
    breach.write_text("def f():\n    from search.run.run_search import run_search\n    import ray.tune\n")
    assert list(imported(breach)) == [("search", 2), ("ray", 3)]


def test_no_other_code_folders() -> None:
    folders = {file.relative_to(ROOT).parts[0] for file in ROOT.glob("*/**/*.py")}
    hidden = {name for name in folders if name.startswith(".")}
    assert folders - hidden <= {*PACKAGES, "tests", "build", "runs", "data"}
