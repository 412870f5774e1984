"""How the browser is found; needs none."""

from pathlib import Path

import pytest

from tests.browser.chromium import NAMES, VARIABLE, find_chromium

ROOT = Path(__file__).parents[2]


def test_the_browser_that_is_named_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.touch()
    monkeypatch.setenv(VARIABLE, str(own))
    assert find_chromium() == own
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match=r"\$VEER_CHROMIUM names .*gone, which is no file"):
        find_chromium()


@pytest.mark.parametrize("name", NAMES)
def test_a_browser_on_the_path_is_found(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"sudo apt-get install .* chromium"):
        find_chromium()
    (tmp_path / name).touch(mode=0o755)
    assert find_chromium() == tmp_path / name


def test_make_looks_for_the_same_browsers() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    line = next(line for line in lines if line.startswith("BROWSERS"))
    assert tuple(line.partition(":=")[2].split()) == NAMES
