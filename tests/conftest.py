"""Fixtures for every test: a tiny corpus, generated; and how tests are spread over processes."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from models import user_code
from tests.worlds.corpus import write_corpus
from tests.worlds.local_ray import LocalRay

# Tables are as wide as in a file, not as in the terminal that the tests are run from.
os.environ.pop("COLUMNS", None)

# An example takes any time on a machine that does other things too.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Until the tests are collected: nothing of them becomes garbage.
gc.disable()

# The models of the tests are tiny: a second thread costs more than it brings.
torch.set_num_threads(1)

# Numbers that no machine has: PyTorch finds no GPU, and a Ray may still declare as many.
NO_GPUS = "1000,1001,1002,1003"
RAY_HERE, RAY_JOINED, RAY_APART = "ray here", "ray joined", "ray apart"
LOCAL_RAY = LocalRay()


class FileByFile(LoadScopeScheduling):
    """Give a worker whole files, whose fixtures it shares; files that share a Ray stay together.

    The files of a folder that start a Ray in the process of the tests go to one worker, and those
    that join clusters to one. A file whose commands have a Ray of theirs goes anywhere.

    The process that spreads the tests knows their names alone, so what a file needs is read from
    the markers in its text. (The groups of pytest-xdist 3.8 are lost with pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if "not cluster" in self.config.option.markexpr:
            return file
        ray = ray_of(self.config.rootpath / file)
        if ray == RAY_HERE:
            return f"{RAY_HERE}: {file.rpartition('/')[0]}"
        return RAY_JOINED if ray == RAY_JOINED else file


@cache
def ray_of(file: Path) -> str:
    """Return which Ray a file of tests needs, or an empty string."""
    text = file.read_text()
    if "mark.cluster" not in text:
        return ""
    if "mark.ray_apart" in text:
        return RAY_APART
    return RAY_JOINED if "no_ray_here" in text else RAY_HERE


def pytest_configure(config: pytest.Config) -> None:
    """Hide the machine's GPUs, also from all that tests start, unless `-m` asks for their tests.

    A test must find the same on every machine, and a GPU may be busy with somebody's training.
    """
    if "gpu" not in config.option.markexpr.replace("not gpu", ""):
        os.environ["CUDA_VISIBLE_DEVICES"] = NO_GPUS


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileByFile:
    return FileByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests with Ray first, then files with slow ones, so that no process ends with those."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not item.get_closest_marker("cluster"), item.path not in slow))


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the Ray of this process when no test needs it next: it takes CPU time even if idle."""
    if nextitem is not None and ray_of(item.path) == RAY_HERE != ray_of(nextitem.path):
        LOCAL_RAY.stop()


def pytest_collection_finish() -> None:
    """Leave out of all later garbage collections what stays anyway: modules and the tests."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    # Some libraries report as leaks what is not collected at the end.
    gc.unfreeze()


@pytest.fixture(scope="session")
def make_corpus() -> Callable[..., Path]:
    """A function that writes a corpus and returns the path of its `corpus.yaml`."""
    return write_corpus


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """A function that writes a module of the user's and lets this process run it.

    It takes the module's dotted name and text, and `allowed=False` to leave permission out; it
    returns the folder that modules are found from. The process forgets all of it afterwards.
    """
    folder = tmp_path / "own"
    monkeypatch.setattr(user_code, "_roots", [])
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(name: str, text: str, *, allowed: bool = True) -> Path:
        file = folder.joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if allowed:
            user_code.allow_code(folder)
        return folder

    before = set(sys.modules)
    yield write
    new = {name: sys.modules[name] for name in set(sys.modules) - before}
    places = {
        name: [getattr(module, "__file__", None) or "", *getattr(module, "__path__", [])]
        for name, module in new.items()
    }
    for name in new:
        if any(Path(place).is_relative_to(folder) for place in places[name]):
            del sys.modules[name]


@pytest.fixture(scope="session")
def local_ray() -> Iterator[LocalRay]:
    """The Ray of this process, not yet started."""
    yield LOCAL_RAY
    LOCAL_RAY.stop()


@pytest.fixture
def ray_here(local_ray: LocalRay) -> None:
    """Start the Ray of this process, if it does not run."""
    local_ray.start()


@pytest.fixture
def no_ray_here(local_ray: LocalRay) -> None:
    """Stop the Ray of this process, which is in the way of another connection."""
    local_ray.stop()
