"""Run folders are recognised by their journal."""

from pathlib import Path

import pytest

from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchResumed
from spaces.files.errors import RunError


def make_run(path: Path) -> Path:
    with Journal(path / "journal.jsonl") as journal:
        journal.append(SearchResumed())
    return path


def test_paths_lie_in_the_folder(tmp_path: Path) -> None:
    run = RunFolder(make_run(tmp_path / "run"))
    assert run.trial(3) == tmp_path / "run" / "trials" / "0003"
    assert run.trial(12345).name == "12345"
    assert run.settings.name == "search.yaml"
    assert run.study.name == "optuna-journal.log"
    assert [record.event for record in run.read()] == ["search_resumed"]


def test_a_missing_folder_names_the_nearest_run_beside_it(tmp_path: Path) -> None:
    make_run(tmp_path / "mixer-2")
    with pytest.raises(RunError, match=r"mixer-3 does not exist; did you mean .*mixer-2\?"):
        RunFolder(tmp_path / "mixer-3")


def test_a_folder_of_runs_names_the_runs_inside(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "one")
    make_run(tmp_path / "runs" / "two")
    with pytest.raises(RunError, match=r"no journal\.jsonl.* mean .*runs/one or .*runs/two\?"):
        RunFolder(tmp_path / "runs")


def test_without_runs_near_nothing_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run does not exist$"):
        RunFolder(tmp_path / "run")
