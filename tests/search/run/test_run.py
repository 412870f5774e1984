import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from ray._private import worker as ray_worker
from rich.console import Console

from results.analysis.run_view import RunView
from results.journal.history import trial_histories
from results.trackers.study import STUDY_NAME
from search.review.audit_run import audit_search
from search.run.progress import SearchView
from search.run.run_search import run_search
from spaces.files.errors import ConfigError, RunError
from tests.search.journal_rewriting import editable_records, rewrite_journal
from tests.search.real_search import epochs_of, events_of, wait_for
from tests.worlds.finished_search import in_turn_settings
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.loading import load_speaker_model
from trainable.config.trial_config import TrialConfig

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_here")]


@pytest.fixture
def search(make_settings, tmp_path) -> Callable[..., Path]:
    """A function that runs a search in a folder of this name and returns the folder."""

    def go(name: str = "run", **overrides) -> Path:
        with (tmp_path / f"{name}.out").open("w") as out:
            view = SearchView(Console(file=out, width=200))
            run_search(make_settings(**overrides), tmp_path / name, view)
        return tmp_path / name

    return go


def test_run_folder_holds_all_of_a_search(finished):
    folder = finished.run.path
    histories = trial_histories(finished.run.read())
    assert [h.trial for h in histories] == [0, 1, 2, 3, 4, 5]
    assert {h.state for h in histories} <= {"complete", "stopped_early"}
    once = ("search_started", "teacher", "benchmark")
    assert [len(events_of(folder, event)) for event in once] == [1, 1, 1]
    assert events_of(folder, "search_ended") == [{"event": "search_ended", "reason": "finished"}]
    names = {"trials.parquet", "epochs.parquet", "benchmark.json", "search.yaml", "space.yaml"}
    assert names <= {path.name for path in folder.iterdir()}
    assert "Finished: every trial has ended" in (folder / "report.html").read_text()
    study = study_of(folder)
    assert len(study.trials) == 6
    assert study.user_attrs["run"] == "run"
    events = {path.parent.name for path in (folder / "tensorboard").glob("*/events*")}
    assert events == {f"trial-{number:04d}" for number in range(6)}

    lowest = sorted(histories, key=lambda h: h.best_decision_pct)
    assert kept_in(folder) == sorted(h.trial for h in lowest[:2])
    best = lowest[0]
    loaded = load_speaker_model(folder / "trials" / f"{best.trial:04d}")
    assert loaded.config == TrialConfig.model_validate(best.started.config)
    assert loaded.epoch == best.best.epoch


def test_finished_search_is_left_as_it_is_and_no_other_takes_its_folder(
    finished, copied, make_settings
):
    before = copied.journal.read_bytes()
    settings = make_settings(**finished.overrides)
    again = run_search(settings, copied.path, SearchView(Console(quiet=True)))
    assert again.was_finished
    assert copied.journal.read_bytes() == before
    other = make_settings(**finished.overrides, seed=1, keep_best=1)
    with pytest.raises(RunError, match=r"other settings \(seed, keep_best\)"):
        run_search(other, copied.path, SearchView(Console(quiet=True)))


def study_of(folder: Path) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(folder / "optuna-journal.log")))
    return optuna.load_study(study_name=STUDY_NAME, storage=storage)


def kept_in(folder: Path) -> list[int]:
    """Trials that have a checkpoint left."""
    trials = sorted((folder / "trials").iterdir())
    return [int(trial.name) for trial in trials if CheckpointFolder(trial).epochs()]


def test_study_and_events_grow_while_it_runs(in_turn):
    run, seen = in_turn.run.path, in_turn.seen
    assert list(seen) == sorted(seen)
    evaluated = [record for record in events_of(run, "epoch") if record["veer_pct"] is not None]
    assert seen[-1][:2] == (3, len(evaluated))
    # Some steps may have gone by between two looks.
    assert {1, 2, 3} <= {trials for trials, _, _ in seen}
    assert len({veers for _, veers, _ in seen}) > 2
    assert len({num_bytes for *_, num_bytes in seen}) > 2


def test_time_limit_and_a_killed_worker_lose_and_repeat_no_epoch(in_turn, tiny_world, tmp_path):
    """Twice the same search has the same epochs, however it gets there."""
    folder, killed = tmp_path / "run", []

    def search(**changes) -> None:
        settings = in_turn_settings(tiny_world, tmp_path / "settings.yaml", **changes)
        with (tmp_path / "out").open("w") as out:
            run_search(settings, folder, SearchView(Console(file=out, width=200)))

    def kill() -> None:
        wait_for(lambda: epochs_of(folder) >= 3, "the third epoch")
        killed.extend(kill_workers())

    search(time_limit_s=1e-6)
    assert events_of(folder, "search_ended") == [{"event": "search_ended", "reason": "time_limit"}]
    assert events_of(folder) == []
    thread = threading.Thread(target=kill)
    thread.start()
    search()
    thread.join()
    assert killed
    assert events_of(folder) == events_of(in_turn.run.path)
    assert len(events_of(folder, "search_resumed")) == 1
    [fault] = events_of(folder, "infrastructure")
    assert (fault["kind"], fault["epoch"]) == ("worker_lost", epochs_before(folder, fault))
    assert "its worker process has died" in fault["message"]
    assert f"trial {fault['trial']}: its process died" in (tmp_path / "out").read_text()


def epochs_before(folder: Path, fault: dict) -> int:
    """Epochs of a trial in the journal before it met a fault."""
    records = events_of(folder, "epoch", "infrastructure")
    before = records[: records.index(fault)]
    return sum(record["trial"] == fault["trial"] for record in before)


def kill_workers() -> list[int]:
    """Kill the processes of this Ray that run a trial."""
    [raylet] = ray_worker._global_node.all_processes["raylet"]
    pids = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            is_trial = (process / "cmdline").read_bytes().startswith(b"ray::CheckedTrial")
            parent = int((process / "stat").read_text().rpartition(") ")[2].split()[1])
        except OSError:
            continue
        if is_trial and parent == raylet.process.pid:
            os.kill(int(process.name), signal.SIGKILL)
            pids.append(int(process.name))
    return pids


def test_repeats_and_controls_of_a_finished_search(finished, followed_up):
    folder = followed_up.run.path
    own = events_of(finished.run.path)
    histories = trial_histories(followed_up.run.read())
    repeats, controls = (
        [h for h in histories if h.follow_up == kind] for kind in ("repeat", "control")
    )
    assert [events_of(folder)[: len(own)], len(repeats), len(controls)] == [own, 2, 1]
    assert {(h.state, len(h.epochs)) for h in (*repeats, *controls)} == {("complete", 3)}
    control, followed = controls[0], histories[controls[0].follows]
    assert followed.state == "stopped_early"
    # Computed alike, to the last bit.
    assert {at: control.measured[at] for at in followed.measured} == followed.measured
    lowest = sorted(histories[:6], key=lambda h: h.best_decision_pct)
    assert {h.follows for h in repeats} == {h.trial for h in lowest[:2]}
    assert kept_in(folder) == sorted(h.trial for h in lowest[:2])
    assert len(study_of(folder).trials) == 6
    audit = audit_search(RunView.read(folder))
    assert (audit.stop_faults, len(audit.controls.controls)) == ((), 1)


def test_gpu_that_no_node_has_is_an_error(search):
    with pytest.raises(ConfigError, match=r"no node .* has resources.gpu=2 for a trial"):
        search(resources__gpu=2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a GPU that is only declared")
def test_gpu_that_torch_cannot_use_is_refused_before_a_trial_begins(search, tmp_path):
    message = r"no GPU can be used \(.*: torch .* sees none: .* set device to cpu"
    with pytest.raises(ConfigError, match=message):
        search(resources__gpu=0.5, num_trials=1)
    assert events_of(tmp_path / "run", "trial_started") == []


def test_batch_that_the_corpus_cannot_fill_is_refused_before_anything_is_written(
    search, tiny_world, tmp_path
):
    text = (tiny_world / "space.yaml").read_text().replace("batch_size: 8", "batch_size: 4096")
    (tmp_path / "space.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"training.batch_size must be at most .* got 4096"):
        search(space=tmp_path / "space.yaml", num_trials=2)
    assert not (tmp_path / "run").exists()


def test_distilling_without_a_teacher_is_refused_before_anything_is_written(
    make_settings, tmp_path
):
    settings = make_settings().model_copy(update={"teacher": None})
    with pytest.raises(ConfigError, match=r"space space has trials that distil, .* --teacher"):
        run_search(settings, tmp_path / "run", SearchView(Console(quiet=True)))
    assert not (tmp_path / "run" / "journal.jsonl").exists()


def test_a_run_folder_that_cannot_be_made_is_refused_with_its_path(make_settings, tmp_path):
    (tmp_path / "file").write_text("kept")
    for folder, why in (("file", "File exists"), ("file/run", "Not a directory")):
        with pytest.raises(RunError, match=rf"{folder}: the run folder cannot be made \({why}\)"):
            run_search(make_settings(), tmp_path / folder, SearchView(Console(quiet=True)))
    assert (tmp_path / "file").read_text() == "kept"


def test_exchanged_teacher_is_noticed(finished, copied, make_settings):
    records = editable_records(copied)
    [teacher] = (record for record in records if record["event"] == "teacher")
    teacher["sha256"] = "0" * 64
    rewrite_journal(copied, records)
    settings = make_settings(**finished.overrides | {"num_trials": 7})
    with pytest.raises(RunError, match=r"is not the teacher that this run began with"):
        run_search(settings, copied.path, SearchView(Console(quiet=True)))
