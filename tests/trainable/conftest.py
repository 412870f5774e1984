"""Fixtures of trainings: a plug-in of a toy trainer, a quick worker, permission to run it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.trainable.toy_trainer import write_plugin, write_worker


@pytest.fixture
def make_plugin(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a trainer, a model file and a plug-in's YAML, and returns that."""
    return partial(write_plugin, tmp_path / "theirs")


@pytest.fixture
def use_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that puts a quick worker in place of the real one; see `write_worker`."""

    def use(answer: str, start: str = "") -> None:
        monkeypatch.setattr("trainable.plugin.WORKER", write_worker(tmp_path, answer, start))

    return use


@pytest.fixture
def code_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.user_code.is_code_allowed", lambda: True)
