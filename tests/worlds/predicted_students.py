"""A simulated run and the model of its students, for tests of the model and of predictions."""

from pathlib import Path

import pytest

from results.analysis.run_view import RunView
from search.students.recorded_curve import recorded_curves
from search.students.student_model import StudentModel
from spaces.space import Space
from tests.worlds.simulated_run import write_simulated_run
from trainable.config.reading import read_trial_space


@pytest.fixture(scope="session")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    """A run of 24 random trials to the end, the best three with another seed."""
    return write_simulated_run(tmp_path_factory.mktemp("simulated") / "run", repeat=1)


@pytest.fixture(scope="session")
def space(view: RunView) -> Space:
    return read_trial_space(Path(view.folder.space))


@pytest.fixture(scope="session")
def model(view: RunView, space: Space) -> StudentModel:
    return StudentModel(recorded_curves([view], space), space)
