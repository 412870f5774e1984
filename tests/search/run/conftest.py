"""A search that was finished and then resumed with follow-ups."""

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from results.journal.run_folder import RunFolder
from search.run.progress import SearchView
from search.run.run_search import run_search
from tests.search.journal_rewriting import editable_records, rewrite_journal
from tests.worlds.finished_search import FinishedSearch, tiny_search_settings


@dataclass(frozen=True, slots=True)
class FollowedUp:
    """A search with follow-ups, and what its resume printed."""

    run: RunFolder
    output: str


@pytest.fixture(scope="session")
def followed_up(
    finished: FinishedSearch, tiny_world: Path, tmp_path_factory: pytest.TempPathFactory
) -> FollowedUp:
    """The finished search as if it had begun with another PyTorch, resumed with follow-ups."""
    folder, output = tmp_path_factory.mktemp("followed-up"), io.StringIO()
    run = RunFolder(shutil.copytree(finished.run.path, folder / "run"))
    records = editable_records(run)
    records[0]["provenance"]["versions"]["torch"] = "1.0"
    rewrite_journal(run, records)
    overrides = {**finished.overrides, "benchmark_top": 0}
    overrides |= {"repeat": 1, "finalists": 2, "control": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEER_CACHE", str(tiny_world / "cache"))
        settings = tiny_search_settings(tiny_world, folder / "settings.yaml", overrides)
        run_search(settings, run.path, SearchView(Console(file=output, width=200)))
    return FollowedUp(run, output.getvalue())
