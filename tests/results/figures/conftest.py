"""Made-up runs to draw."""

from collections.abc import Callable
from pathlib import Path

import pytest

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.records.record import Record
from tests.worlds.journals import changed
from tests.worlds.made_up_run import ScoredView, write_made_up_run


@pytest.fixture(scope="session")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    """A run of 30 trials with scores."""
    run = write_made_up_run(tmp_path_factory.mktemp("made") / "run")
    return ScoredView.read(run)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    """A run of 1,000 trials, of which a third are complete, with scores."""
    run = write_made_up_run(tmp_path_factory.mktemp("large") / "run", 1000)
    return ScoredView.read(run)


@pytest.fixture
def view_of(tmp_path: Path) -> Callable[[list[Record]], RunView]:
    """A function that views records as a run without a space; their times count up if 0."""
    (tmp_path / "journal.jsonl").touch()

    def make(records: list[Record]) -> RunView:
        timed = (
            changed(each, time_s=each.time_s or 1000.0 + place)
            for place, each in enumerate(records)
        )
        return RunView(folder=RunFolder(tmp_path), records=tuple(timed))

    return make
