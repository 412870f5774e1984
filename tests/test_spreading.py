"""Tests are spread over processes by file, but for files that share a Ray."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import (
    LOCAL_RAY,
    RAY_HERE,
    RAY_JOINED,
    FileByFile,
    pytest_configure,
    pytest_runtest_teardown,
    ray_of,
)

WITH_RAY = "@pytest.mark.cluster"
JOINED = '@pytest.mark.cluster\n@pytest.mark.usefixtures("no_ray_here")'
APART = "pytestmark = [pytest.mark.cluster, pytest.mark.ray_apart]"


@pytest.mark.parametrize(
    ("chosen", "with_ray", "joined"),
    [
        ("not gpu", f"{RAY_HERE}: tests", RAY_JOINED),
        ("not gpu and not cluster", "tests/with_ray.py", "tests/joined.py"),
    ],
)
def test_files_that_share_a_ray_share_a_process_where_ray_is_started(
    chosen: str, with_ray: str, joined: str, tmp_path: Path
) -> None:
    (tmp_path / "tests").mkdir()
    texts = {"with_ray": WITH_RAY, "joined": JOINED, "apart": APART, "plain": "def test_it(): ..."}
    for name, text in texts.items():
        (tmp_path / "tests" / f"{name}.py").write_text(text)
    spread = FileByFile.__new__(FileByFile)
    spread.config = SimpleNamespace(rootpath=tmp_path, option=SimpleNamespace(markexpr=chosen))
    assert spread._split_scope("tests/with_ray.py::test_a[b::c]") == with_ray
    assert spread._split_scope("tests/joined.py::test_a") == joined
    assert spread._split_scope("tests/apart.py::test_a") == "tests/apart.py"
    assert spread._split_scope("tests/plain.py::TestA::test_b") == "tests/plain.py"


@pytest.mark.parametrize(
    ("next_text", "is_stopped"), [(WITH_RAY, False), (APART, True), ("plain", True), (None, False)]
)
def test_an_idle_ray_is_stopped_where_the_next_test_needs_none(
    next_text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_stopped: bool
) -> None:
    stops: list[bool] = []
    monkeypatch.setattr(LOCAL_RAY, "stop", lambda: stops.append(True))
    now, then = (SimpleNamespace(path=tmp_path / name) for name in ("now.py", "next.py"))
    now.path.write_text(WITH_RAY)
    then.path.write_text(next_text or "")
    pytest_runtest_teardown(now, None if next_text is None else then)
    assert bool(stops) is is_stopped


def test_every_test_with_ray_is_in_such_a_file(request: pytest.FixtureRequest) -> None:
    marked = [each for each in request.session.items if each.get_closest_marker("cluster")]
    assert {each.path for each in marked if not ray_of(each.path)} == set()


def test_only_files_of_the_one_group_start_the_ray_of_a_process(
    request: pytest.FixtureRequest,
) -> None:
    started = [
        each.path
        for each in request.session.items
        if "local_ray" in each.fixturenames and "no_ray_here" not in each.fixturenames
    ]
    assert {ray_of(path) for path in started} <= {RAY_HERE}


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
