"""Tests are spread over processes by file, but for the files with Ray, which share one process."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import RAY, FileByFile, is_with_ray

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("chosen", "with_ray"), [("not gpu", RAY), ("not gpu and not cluster", "tests/with_ray.py")]
)
def test_files_with_ray_share_a_process_where_ray_is_started(
    chosen: str, with_ray: str, tmp_path: Path
) -> None:
    for name, text in (("with_ray", "@pytest.mark.cluster"), ("plain", "def test_it(): ...")):
        (tmp_path / "tests").mkdir(exist_ok=True)
        (tmp_path / "tests" / f"{name}.py").write_text(text)
    spread = FileByFile.__new__(FileByFile)
    spread.config = SimpleNamespace(rootpath=tmp_path, option=SimpleNamespace(markexpr=chosen))
    assert spread._split_scope("tests/with_ray.py::test_a[b::c]") == with_ray
    assert spread._split_scope("tests/plain.py::TestA::test_b") == "tests/plain.py"


def test_every_test_with_ray_is_in_such_a_file(request: pytest.FixtureRequest) -> None:
    marked = [each for each in request.session.items if each.get_closest_marker("cluster")]
    assert {each.path for each in marked if not is_with_ray(each.path)} == set()
