"""Tests are spread over processes by file, but for the files with Ray, which share two."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import RAY_APART, RAY_HERE, FileByFile, pytest_configure, ray_of

WITH_RAY = "@pytest.mark.cluster"
APART = "pytestmark = [pytest.mark.cluster, pytest.mark.ray_apart]"


@pytest.mark.parametrize(
    ("chosen", "with_ray", "apart"),
    [
        ("not gpu", RAY_HERE, RAY_APART),
        ("not gpu and not cluster", "tests/with_ray.py", "tests/apart.py"),
    ],
)
def test_files_with_ray_share_processes_where_ray_is_started(
    chosen: str, with_ray: str, apart: str, tmp_path: Path
) -> None:
    (tmp_path / "tests").mkdir()
    for name, text in (("with_ray", WITH_RAY), ("apart", APART), ("plain", "def test_it(): ...")):
        (tmp_path / "tests" / f"{name}.py").write_text(text)
    spread = FileByFile.__new__(FileByFile)
    spread.config = SimpleNamespace(rootpath=tmp_path, option=SimpleNamespace(markexpr=chosen))
    assert spread._split_scope("tests/with_ray.py::test_a[b::c]") == with_ray
    assert spread._split_scope("tests/apart.py::test_a") == apart
    assert spread._split_scope("tests/plain.py::TestA::test_b") == "tests/plain.py"


def test_every_test_with_ray_is_in_such_a_file(request: pytest.FixtureRequest) -> None:
    marked = [each for each in request.session.items if each.get_closest_marker("cluster")]
    assert {each.path for each in marked if not ray_of(each.path)} == set()


def test_no_test_of_commands_with_a_ray_of_theirs_starts_one_here(
    request: pytest.FixtureRequest,
) -> None:
    here = [each for each in request.session.items if "local_ray" in each.fixturenames]
    assert {each.path for each in here if ray_of(each.path) == RAY_APART} == set()


@pytest.mark.parametrize(
    ("chosen", "is_hidden"),
    [("not gpu", True), ("not gpu and not slow", True), ("", True), ("gpu", False)],
)
def test_gpus_are_hidden_from_all_tests_but_their_own(
    monkeypatch: pytest.MonkeyPatch, chosen: str, *, is_hidden: bool
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    pytest_configure(SimpleNamespace(option=SimpleNamespace(markexpr=chosen)))
    assert (os.environ["CUDA_VISIBLE_DEVICES"] != "0") is is_hidden
