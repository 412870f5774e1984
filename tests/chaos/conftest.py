"""Fixtures of the kill tests: a world to search in."""

from pathlib import Path

import numpy as np
import pytest

from tests.chaos.scenarios import Stage
from tests.worlds.chaos_world import build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the world once for all tests; see `build_world`."""
    return build_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def stage(world: Path, tmp_path: Path) -> Stage:
    """Return a stage with run folders in the test's own folder, and a fixed seed."""
    return Stage(world=world, folder=tmp_path, rng=np.random.default_rng(0))
