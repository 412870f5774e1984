"""What several files of commands share."""

from pathlib import Path

import pytest

from tests.worlds.trained_run import train_both, write_trained_run


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a teacher and a search whose trial 0 has a checkpoint."""
    folder = tmp_path_factory.mktemp("world")
    write_trained_run(folder, train_both(tmp_path_factory.mktemp("trained")))
    return folder
