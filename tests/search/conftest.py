"""Fixtures of the search: small spaces, a tiny world, a finished search, a user with code."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from models import user_code
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from search.config.search_config import SearchConfig
from search.loop.coordinator import Coordinator
from spaces.dimensions import Choice, Float, Integer
from spaces.space import Space
from tests.search.user_home import use_empty_home
from tests.worlds.finished_search import (
    FinishedSearch,
    SearchInTurn,
    finish_a_search,
    search_in_turn,
    tiny_search_settings,
)
from tests.worlds.local_ray import LocalRay
from tests.worlds.own_student import NET, User
from tests.worlds.proposing import Search
from tests.worlds.simulated_search import make_coordinator
from tests.worlds.tiny_world import build_tiny_world


@pytest.fixture
def space() -> Space:
    """A space with every kind of dimension and a condition; not one of trial configs."""
    return Space(
        name="every-kind",
        fixed={"family": "mixer"},
        dimensions=(
            Choice(name="loss.kind", choices=("mse", "cosine", "none")),
            Float(name="loss.temperature", low=1.0, high=8.0, log=True, when={"loss.kind": "mse"}),
            Integer(name="model.width", low=32, high=96, step=32),
            Float(name="training.lr", low=1e-4, high=1e-2, log=True),
        ),
    )


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, a space and a trained teacher, and a cache beside them."""
    return build_tiny_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def make_settings(
    tiny_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., SearchConfig]:
    """A function that returns the settings of a tiny search: 4 trials of 3 epochs, one at once."""
    monkeypatch.setenv("VEER_CACHE", str(tiny_world / "cache"))
    file = tmp_path / "settings.yaml"
    return lambda **overrides: tiny_search_settings(tiny_world, file, overrides)


@pytest.fixture(scope="session")
def finished(
    tiny_world: Path, local_ray: LocalRay, tmp_path_factory: pytest.TempPathFactory
) -> FinishedSearch:
    """A finished search, to be read only."""
    local_ray.start()
    return finish_a_search(tiny_world, tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="session")
def in_turn(
    tiny_world: Path, local_ray: LocalRay, tmp_path_factory: pytest.TempPathFactory
) -> SearchInTurn:
    """A finished search of one trial after the other, to be read only."""
    local_ray.start()
    return search_in_turn(tiny_world, tmp_path_factory.mktemp("in-turn"))


@pytest.fixture
def copied(finished: FinishedSearch, tmp_path: Path) -> RunFolder:
    """A copy of the finished search."""
    return RunFolder(shutil.copytree(finished.run.path, tmp_path / "run"))


@pytest.fixture
def user(
    own_code: Callable[..., Path],
    tmp_path: Path,
    tiny_world: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> User:
    """A user in the folder of their own file, who has allowed no code yet."""
    trace = tmp_path / "trace"
    folder = own_code("mine.net", NET.format(trace=str(trace)), allowed=False)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VEER_CACHE", str(tiny_world / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def forget() -> None:
        """Be another process: no permission, nothing imported."""
        user_code._roots.clear()
        sys.path[:] = [place for place in sys.path if place != str(folder.resolve())]
        for name in ("mine", "mine.net"):
            sys.modules.pop(name, None)

    return User(folder, trace, forget)


@pytest.fixture
def search_on() -> Iterator[Callable[..., Coordinator]]:
    """A function that returns a coordinator on a journal, with its records replayed."""
    with ExitStack() as journals:
        yield lambda path, **options: make_coordinator(
            journals.enter_context(Journal(path)), **options
        )


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Search]]:
    """A function that begins a search without Ray, or goes on with one, in a journal."""
    with ExitStack() as journals:

        def make(space: Space, *, name: str = "journal", **options: Any) -> Search:
            return Search(space, journals.enter_context(Journal(tmp_path / name)), **options)

        yield make


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of a user who has no token."""
    folder = tmp_path / "home"
    folder.mkdir()
    use_empty_home(folder, monkeypatch)
    return folder
