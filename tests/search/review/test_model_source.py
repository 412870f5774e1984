"""Which model a path names."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from search.review import model_source


@pytest.mark.parametrize("file", ["/student.model", "/models/student.model"])
def test_a_model_file_may_lie_near_the_root(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = SimpleNamespace(file=Path(file))
    monkeypatch.setattr(model_source, "load_speaker_model", lambda _: loaded)
    found = model_source.find_model(Path(file))
    assert (found.loaded, found.run, found.trial) == (loaded, None, None)
