"""Study and event files that grow with a journal equal those written from the whole journal."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchStarted
from results.records.trial_records import TrialEnded
from results.trackers.live_files import LiveFiles, append
from results.trackers.study import STUDY_NAME, write_study
from results.trackers.tensorboard import event_files
from spaces.files.errors import RunError
from spaces.limits import Violation
from tests.worlds.journal_writing import DIMENSIONS, report, start
from tests.worlds.simulated_search import SPACE, Killed, make_coordinator, work
from tests.worlds.views import rebuild_study, view_of


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A fresh one in a run folder."""
    with Journal(tmp_path / "run" / "journal.jsonl") as opened:
        opened.append(SearchStarted(settings={}, provenance={}))
        yield opened


def run_of(journal: Journal) -> RunFolder:
    return RunFolder(journal.path.parent)


def loaded(run: RunFolder) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(run.study)))
    return optuna.load_study(study_name=STUDY_NAME, storage=storage)


def plain(study: optuna.Study) -> list[dict[str, Any]]:
    hidden = {"_trial_id"}
    return [{k: v for k, v in vars(t).items() if k not in hidden} for t in study.trials]


def on_disk(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def too_wide(config: Any) -> list[Violation]:
    """Breaks a limit at high learning rates."""
    lr = config.training.lr
    return [Violation(limit="max_lr", value=lr, allowed=3e-3)] if lr > 3e-3 else []


def same_everywhere(run: RunFolder, space: Any = SPACE.dimensions) -> None:
    """Check that the grown files equal those written from the whole journal, byte by byte."""
    records, grown = run.read(), run.study.read_bytes()
    assert plain(loaded(run)) == plain(rebuild_study(records, space))
    assert on_disk(run.tensorboard) == event_files(view_of(records), space)
    write_study(RunView.read(run), space)
    assert run.study.read_bytes() == grown


@pytest.mark.parametrize("seed", [0, 1])
def test_files_that_grew_are_the_rebuilt_ones(journal: Journal, seed: int) -> None:
    run = run_of(journal)
    live = LiveFiles(run, SPACE.dimensions, pytest.fail)
    journal.follow(live.take)
    coordinator = make_coordinator(journal, num_trials=12, check=too_wide)
    work(coordinator, at_once=3, rng=np.random.default_rng(seed))
    states = {trial.state for trial in loaded(run).trials}
    assert {TrialState.COMPLETE, TrialState.PRUNED} <= states
    assert any(trial.constraints for trial in loaded(run).trials)
    same_everywhere(run)


def test_a_killed_search_resumes_with_files_of_its_journal(journal: Journal) -> None:
    run = run_of(journal)
    for epochs in (5, 9, 17, 1000):
        with Journal(journal.path) as writer:
            writer.follow(LiveFiles(run, SPACE.dimensions, pytest.fail).take)
            coordinator = make_coordinator(writer, num_trials=8)
            try:
                work(coordinator, at_once=2, rng=np.random.default_rng(epochs), epochs=epochs)
            except Killed:
                same_everywhere(run)
                # What a kill tore, and what one before the write left out.
                with run.study.open("ab") as file:
                    file.write(b'{"op_code":7,"wor')
                next(run.tensorboard.glob("trial-*/*")).write_bytes(b"torn")
    assert coordinator.is_finished
    same_everywhere(run)


def test_a_reader_that_was_there_before_a_kill_reads_on(journal: Journal) -> None:
    run = run_of(journal)
    live = LiveFiles(run, DIMENSIONS, pytest.fail)
    journal.follow(live.take)
    start(journal, 0, loss__distillation="none", model__num_blocks=2, training__lr=1e-3)
    study = loaded(run)
    assert len(study.trials) == 1
    report(journal, 0, 1, 20.0)
    journal.follow(LiveFiles(run, DIMENSIONS, pytest.fail).take)
    write_study(RunView.read(run), DIMENSIONS)
    assert study.trials[0].intermediate_values == {1: 20.0}


def test_a_trial_appears_runs_and_ends(journal: Journal) -> None:
    run = run_of(journal)
    journal.follow(LiveFiles(run, DIMENSIONS, pytest.fail).take)
    assert loaded(run).trials == []
    start(journal, 0, loss__distillation="none", model__num_blocks=2, training__lr=1e-3)
    (trial,) = loaded(run).trials
    assert (trial.state, trial.params["model.num_blocks"]) == (TrialState.RUNNING, 2)
    assert trial.user_attrs["trial"] == 0
    for epoch, veer_pct in ((1, 20.0), (2, 12.5), (2, 12.5), (3, 13.0)):
        report(journal, 0, epoch, veer_pct, veer_low_pct=11.0, veer_high_pct=14.0)
    (trial,) = loaded(run).trials
    assert trial.intermediate_values == {1: 20.0, 2: 12.5, 3: 13.0}
    assert trial.user_attrs["VEER interval, %"] == "11.00 to 14.00"
    assert trial.user_attrs["parameters"] == 1000
    journal.append(TrialEnded(trial=0, state="complete", reason=None))
    (trial,) = loaded(run).trials
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 12.5)


def broken_study(run: RunFolder) -> None:
    run.study.unlink()
    run.study.mkdir()


def broken_link(run: RunFolder) -> None:
    run.study.unlink()
    run.study.symlink_to(run.path / "elsewhere")


def broken_events(run: RunFolder) -> None:
    (run.tensorboard / "trial-0000").write_text("in the way")


@pytest.mark.parametrize("breaking", [broken_study, broken_link, broken_events])
def test_an_error_is_printed_once_and_ends_nothing(
    journal: Journal, breaking: Callable[[RunFolder], None]
) -> None:
    run, printed = run_of(journal), list[str]()
    journal.follow(LiveFiles(run, SPACE.dimensions, printed.append).take)
    breaking(run)
    coordinator = make_coordinator(journal, num_trials=3)
    work(coordinator)
    assert coordinator.is_finished
    assert len(printed) == 1
    assert "are not up to date for now" in printed[0]
    assert not (run.path / "elsewhere").exists()


def test_what_waited_for_room_is_written_with_the_next_record(journal: Journal) -> None:
    run, printed = run_of(journal), list[str]()
    journal.follow(LiveFiles(run, DIMENSIONS, printed.append).take)
    aside = run.study.rename(run.path / "aside")
    run.study.mkdir()
    start(journal, 0, loss__distillation="none", model__num_blocks=2, training__lr=1e-3)
    report(journal, 0, 1, 20.0)
    run.study.rmdir()
    aside.rename(run.study)
    report(journal, 0, 2, 19.0)
    assert len(printed) == 1
    same_everywhere(run, DIMENSIONS)


def test_files_that_could_not_be_begun_are_left_alone(journal: Journal) -> None:
    run, printed = run_of(journal), list[str]()
    run.study.mkdir()
    journal.follow(LiveFiles(run, DIMENSIONS, printed.append).take)
    start(journal, 0, loss__distillation="none", model__num_blocks=2, training__lr=1e-3)
    assert len(printed) == 1
    assert list(run.study.iterdir()) == []


def test_what_finds_no_room_in_whole_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    append(path, b"first\n")
    real, left = os.write, [4]

    def write(file: int, content: bytes) -> int:
        if not left:
            raise OSError(28, "No space left on device")
        return real(file, content[: left.pop()])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space left"):
        append(path, b"second\n")
    monkeypatch.undo()
    assert path.read_bytes() == b"first\n"
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(RunError, match="but is a link"):
        append(tmp_path / "link", b"x")


def test_the_file_names_no_process(journal_run: RunFolder) -> None:
    write_study(RunView.read(journal_run), DIMENSIONS)
    lines = journal_run.study.read_text().splitlines()
    assert {json.loads(line)["worker_id"] for line in lines} == {"veer"}
