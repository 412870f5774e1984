"""A link that someone put where a file is written in place: what it leads to stays as it is."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from results.journal.journal import Journal
from results.records.search_records import SearchEnded
from search.provenance.run_lock import logging_to, run_lock
from spaces.files.errors import RunError
from trainable.checkpoints.folder import BUILDING_SUFFIX, CheckpointFolder
from trainable.machine.trial_lock import TrialLock
from trainable.report.score_log import ScoreLog

PRECIOUS = "what a user wrote"


def lock_run(folder: Path) -> None:
    with run_lock(folder):
        pass


def log(folder: Path) -> None:
    with logging_to(folder / "log.txt", print):
        pass


def note(folder: Path) -> None:
    with Journal(folder / "journal.jsonl") as journal:
        journal.append(SearchEnded(reason="finished"))


def score(folder: Path) -> None:
    report = SimpleNamespace(epoch=1, train_accuracy_pct=1.0, loss_total=1.0, lr=1e-3)
    ScoreLog(folder).training(report)  # type: ignore[arg-type]


WRITERS: dict[str, Callable[[Path], None]] = {
    ".lock of a run": lock_run,
    ".lock of a trial": lambda folder: TrialLock().acquire(folder),
    "log.txt": log,
    "journal.jsonl": note,
    "result/scores.txt": score,
}


@pytest.mark.parametrize("target", ["there", "not there"])
@pytest.mark.parametrize("what", WRITERS)
def test_a_link_is_refused_and_its_target_left_alone(
    tmp_path: Path, what: str, target: str
) -> None:
    precious, folder = tmp_path / "precious", tmp_path / "run"
    link = folder / what.partition(" ")[0]
    link.parent.mkdir(parents=True)
    link.symlink_to(precious)
    if target == "there":
        precious.write_text(PRECIOUS)
    message = re.escape(f"{link}: must be a file, but is a link to {precious}, ")
    with pytest.raises(RunError, match=message + ".*through links; remove the link"):
        WRITERS[what](folder)
    if target == "there":
        assert precious.read_text() == PRECIOUS
    else:
        assert not precious.exists()


@pytest.mark.parametrize("what", WRITERS)
def test_a_folder_may_be_a_link(tmp_path: Path, what: str) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    WRITERS[what](tmp_path / "run")
    assert (tmp_path / "disk" / what.partition(" ")[0]).is_file()


def test_a_checkpoint_is_not_built_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text(PRECIOUS)
    checkpoints = CheckpointFolder(tmp_path / "run")
    checkpoints.folder.mkdir(parents=True)
    file = checkpoints.file_of(1)
    file.with_suffix(BUILDING_SUFFIX).symlink_to(precious)
    state = {"epoch": 1, "veer": {"history": []}}
    trainer = SimpleNamespace(epoch=1, state=lambda: state)
    checkpoints.save(trainer)  # type: ignore[arg-type]
    assert precious.read_text() == PRECIOUS
    assert file.is_file()
    assert not file.is_symlink()
