import json
import os
import signal
import threading
import time
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
from results.journal.journal import read_journal
from results.trackers.study import STUDY_NAME
from search.review.audit_run import audit_search
from search.run.progress import SearchView
from search.run.run_search import run_search
from spaces.files.errors import ConfigError, RunError
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.real_search import events_of
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.loading import load_speaker_model
from trainable.config.trial_config import TrialConfig

# Of Optuna's journal.
CREATE_TRIAL, SET_VEER = 4, 7

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


def test_run_folder_holds_all_of_a_search(search, make_settings):
    folder = search(max_concurrent=2, benchmark_top=1, keep_best=1)
    histories = trial_histories(read_journal(folder / "journal.jsonl"))
    assert [h.trial for h in histories] == [0, 1, 2, 3]
    assert {h.state for h in histories} <= {"complete", "stopped_early"}
    once = ("search_started", "teacher", "benchmark")
    assert [len(events_of(folder, event)) for event in once] == [1, 1, 1]
    assert events_of(folder, "search_ended") == [{"event": "search_ended", "reason": "finished"}]
    names = {"trials.parquet", "epochs.parquet", "benchmark.json", "search.yaml", "space.yaml"}
    assert names <= {path.name for path in folder.iterdir()}
    assert "Finished: every trial has ended" in (folder / "report.html").read_text()
    storage = JournalStorage(JournalFileBackend(str(folder / "optuna-journal.log")))
    study = optuna.load_study(study_name=STUDY_NAME, storage=storage)
    assert len(study.trials) == 4
    assert study.user_attrs["run"] == "run"
    events = {path.parent.name for path in (folder / "tensorboard").glob("*/events*")}
    assert events == {f"trial-{number:04d}" for number in range(4)}

    best = min(histories, key=lambda h: h.best["veer_pct"])
    kept = [n for n in range(4) if CheckpointFolder(folder / "trials" / f"{n:04d}").epochs()]
    assert kept == [best.trial]
    loaded = load_speaker_model(folder / "trials" / f"{best.trial:04d}")
    assert loaded.config == TrialConfig.model_validate(best.started["config"])
    assert loaded.epoch == best.best["epoch"]

    before = (folder / "journal.jsonl").read_bytes()
    again = run_search(
        make_settings(max_concurrent=2, benchmark_top=1, keep_best=1),
        folder,
        SearchView(Console(quiet=True)),
    )
    assert again.was_finished
    assert (folder / "journal.jsonl").read_bytes() == before
    with pytest.raises(RunError, match=r"other settings \(seed, keep_best\)"):
        search(seed=1)


def test_study_and_events_grow_while_it_runs(make_settings, tmp_path):
    run, seen = tmp_path / "run", []

    class Watching(SearchView):
        def show(self, status):
            super().show(status)
            lines = (run / "optuna-journal.log").read_text().splitlines()
            codes = [json.loads(line)["op_code"] for line in lines]
            num_bytes = sum(path.stat().st_size for path in run.glob("tensorboard/*/events*"))
            seen.append((codes.count(CREATE_TRIAL), codes.count(SET_VEER), num_bytes))

    settings = make_settings(num_trials=2, max_concurrent=1, scheduler__kind="none")
    run_search(settings, run, Watching(Console(quiet=True)))
    assert seen == sorted(seen)
    assert seen[-1][:2] == (2, len(events_of(run, "epoch")))
    # Some steps may have gone by between two looks.
    assert {1, 2} <= {trials for trials, _, _ in seen}
    assert len({veers for _, veers, _ in seen}) > 2
    assert len({num_bytes for *_, num_bytes in seen}) > 2


def test_seed_gives_the_same_search_one_at_a_time(search):
    assert events_of(search("one", num_trials=3)) == events_of(search("other", num_trials=3))


def test_killed_worker_loses_and_repeats_no_epoch(search, tmp_path):
    whole = search("whole", num_trials=2, max_epochs=6, scheduler__kind="none")
    killed = []

    def kill() -> None:
        journal = tmp_path / "run" / "journal.jsonl"
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            if journal.exists() and journal.read_text().count('"event":"epoch"') >= 3:
                killed.extend(kill_workers())
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    folder = search("run", num_trials=2, max_epochs=6, scheduler__kind="none")
    thread.join()
    assert killed
    assert events_of(folder) == events_of(whole)
    [fault] = events_of(folder, "infrastructure")
    assert (fault["kind"], fault["epoch"]) == ("worker_lost", epochs_before(folder, fault))
    assert "its worker process has died" in fault["message"]
    assert f"trial {fault['trial']}: its process died" in (tmp_path / "run.out").read_text()


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


def test_time_limit_leaves_a_search_that_goes_on(search):
    whole = search("whole", num_trials=2)
    folder = search("run", num_trials=2, time_limit_s=1e-6)
    assert events_of(folder, "search_ended") == [{"event": "search_ended", "reason": "time_limit"}]
    assert events_of(folder) == []
    search("run", num_trials=2)
    assert events_of(folder) == events_of(whole)
    assert len(events_of(folder, "search_resumed")) == 1


def test_repeats_and_controls_of_a_finished_search(search):
    folder = search(num_trials=6, max_concurrent=2, keep_best=2)
    own = events_of(folder)
    search(num_trials=6, max_concurrent=2, keep_best=2, repeat=1, finalists=2, control=1)
    histories = trial_histories(read_journal(folder / "journal.jsonl"))
    repeats, controls = (
        [h for h in histories if h.follow_up == kind] for kind in ("repeat", "control")
    )
    assert [events_of(folder)[: len(own)], len(repeats), len(controls)] == [own, 2, 1]
    assert {(h.state, len(h.epochs)) for h in (*repeats, *controls)} == {("complete", 3)}
    control, followed = controls[0], histories[controls[0].follows]
    assert followed.state == "stopped_early"
    # Computed alike, to the last bit.
    assert {at: control.measured[at] for at in followed.measured} == followed.measured
    lowest = sorted(histories[:6], key=lambda h: h.best_veer_pct)
    assert {h.follows for h in repeats} == {h.trial for h in lowest[:2]}
    kept = [n for n in range(9) if CheckpointFolder(folder / "trials" / f"{n:04d}").epochs()]
    assert kept == sorted(h.trial for h in lowest[:2])
    storage = JournalStorage(JournalFileBackend(str(folder / "optuna-journal.log")))
    assert len(optuna.load_study(study_name=STUDY_NAME, storage=storage).trials) == 6
    audit = audit_search(RunView.read(folder))
    assert (audit.stop_faults, len(audit.controls.controls)) == ((), 1)


def test_gpu_that_no_node_has_is_an_error(search):
    with pytest.raises(ConfigError, match=r"no node .* has resources.gpu=2 for a trial"):
        search(resources__gpu=2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a GPU that is only declared")
def test_gpu_that_torch_cannot_use_fails_clearly(search):
    folder = search(resources__gpu=0.5, num_trials=1)
    [ended] = events_of(folder, "trial_ended")
    assert ended["state"] == "failed"
    assert "given 0.5 GPUs, but torch" in ended["reason"]
    assert "set device: cpu" in ended["reason"]


def test_gpu_is_left_alone_with_device_cpu(search):
    folder = search(resources__gpu=0.25, resources__cpu=0.5, num_trials=2, device="cpu")
    assert {record["state"] for record in events_of(folder, "trial_ended")} <= {
        "complete", "stopped_early"
    }  # fmt: skip


def test_trial_that_cannot_be_built_fails_with_the_reason(search, tiny_world, tmp_path):
    tree = read_yaml(tiny_world / "space.yaml").data
    tree["loss"] = {"distillation": "cosine", "stages": "cosine", "stage_weights": [0, 1, 0]}
    write_yaml(tmp_path / "space.yaml", tree)
    folder = search(space=tmp_path / "space.yaml", num_trials=2)
    for ended in events_of(folder, "trial_ended"):
        assert ended["state"] == "failed"
        assert "stage_weights must not all be 0 at 2 stages" in ended["reason"]


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


def test_exchanged_teacher_is_noticed(search, tiny_world, tmp_path):
    teacher = tmp_path / "teacher.model"
    for epoch in (1, 2):
        source = tiny_world / "teacher" / "model" / f"model{epoch:09d}.model"
        teacher.write_bytes(source.read_bytes())
        if epoch == 1:
            search(teacher=teacher, num_trials=1)
        else:
            with pytest.raises(RunError, match=r"is not the teacher that this run began with"):
                search(teacher=teacher, num_trials=2)
