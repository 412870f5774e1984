"""Fixtures of the kill tests: a world to search in."""

from pathlib import Path

import numpy as np
import pytest

from tests.chaos.scenarios import Stage
from tests.chaos.world import build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `build_world`."""
    return build_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def stage(world: Path, tmp_path: Path) -> Stage:
    """Run folders in the test's own folder; moments that are the same every time."""
    return Stage(world=world, folder=tmp_path, rng=np.random.default_rng(0))
