"""The disk estimate of a search is at least the size of what such a search writes."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from results.analysis.run_view import RunView
from results.journal.journal import Journal, read_journal
from results.journal.run_folder import RunFolder
from results.records.trial_records import EpochEnded, TrialEnded, TrialPlaced, TrialStarted
from results.tables.trials import write_tables
from results.trackers.study import write_study
from results.trackers.tensorboard import event_files
from search.config.search_config import SearchConfig
from search.estimates import disk_estimate
from search.estimates.disk_estimate import (
    DiskEstimate,
    DiskGuard,
    kept_scores_bytes,
    records_bytes,
    require_room,
    used_bytes,
)
from search.estimates.forecast import forecast
from search.run.progress import SearchView
from search.run.run_search import run_search
from search.run.teacher_scores import keep_pairs, keep_teacher_scores
from spaces.files.errors import ConfigError
from spaces.space import Space
from trainable.config.reading import read_trial_space
from trainable.config.trial_config import TrialConfig
from trainable.cost.checkpoint_size import checkpoint_memory, longest_report

ESTIMATE = DiskEstimate(
    checkpoint_bytes=50_000_000, keep_best=3, num_unfinished=4, records_bytes=90_000_000
)


def settings(**values: Any) -> SearchConfig:
    corpus = dict.fromkeys(("train_dir", "train_list", "val_dir", "val_list"), ".")
    given = {"corpus": corpus, "space": "unused.yaml", "num_trials": 64, **values}
    return SearchConfig.model_validate(given)


def test_the_estimate_in_words() -> None:
    # Three files each of seven trials.
    assert ESTIMATE.num_bytes == 3 * 7 * 50_000_000 + 90_000_000
    assert str(ESTIMATE) == (
        "at most about 1.1 GB (checkpoints of the best 3 and 4 running trials 1.1 GB, "
        "journal, tables and scores 90 MB)"
    )


def test_enough_room_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=210 * 10**9))
    printed: list[str] = []
    require_room(ESTIMATE, tmp_path, settings(), printed.append)
    assert printed == [f"disk: {ESTIMATE}; 210 GB free"]


def test_too_little_room_is_refused_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=ESTIMATE.num_bytes))
    require_room(ESTIMATE, tmp_path, settings(), [].append)
    less = SimpleNamespace(free=ESTIMATE.num_bytes - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: less)
    message = (
        r"at most about 1\.1 GB .*; 1\.1 GB free; free some space, lower max_concurrent "
        r"\(now 4\), or choose another folder with --run, where keep_best can be lowered too "
        r"\(now 3\)"
    )
    with pytest.raises(ConfigError, match=message):
        require_room(ESTIMATE, tmp_path, settings(), [].append)


def test_files_of_a_resumed_run_count_as_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "weights").write_bytes(bytes(2_000_000))
    assert used_bytes(tmp_path) >= 2_000_000
    free = ESTIMATE.num_bytes - 2_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    printed: list[str] = []
    require_room(ESTIMATE, tmp_path, settings(), printed.append)
    assert "of which 2.0 MB are already in use; " in printed[0]


@pytest.fixture
def space(tmp_path: Path) -> Callable[..., tuple[Path, Space]]:
    """A function that reads a space of mixers of these widths."""

    def read(*widths: int) -> tuple[Path, Space]:
        text = (
            f"model: {{family: mlp_mixer, hidden_dim: {{choices: {list(widths)}}}, "
            "num_frames: 60}\n"
            "loss: {distillation: none}\ntraining: {batch_size: 8, crop_frames: 60}\n"
        )
        (tmp_path / "space.yaml").write_text(text)
        return tmp_path / "space.yaml", read_trial_space(tmp_path / "space.yaml")

    return read


def test_the_largest_config_counts(
    tmp_path: Path, space: Callable[..., tuple[Path, Space]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))
    file, found = space(16, 64, 32)
    chosen = settings(space=file, max_epochs=4, keep_best=2, benchmark_top=1)
    printed: list[str] = []
    guard = DiskGuard(
        folder=tmp_path, settings=chosen, space=found, teacher=None, num_speakers=20,
        num_pairs=500, expected=forecast(64, 4, [], 3), print_line=printed.append,
    )  # fmt: skip
    largest = guard.largest()
    assert largest is not None
    assert largest[0].model.hidden_dim == 64
    assert largest[1] == checkpoint_memory(largest[0], None, num_speakers=20).num_bytes

    unfinished = [SimpleNamespace(state=None)] * 5 + [SimpleNamespace(state="complete")] * 9
    guard.check(1, unfinished)
    guard.check(7, unfinished)
    assert "the best 2 and 5 running trials" in printed[0]
    assert "the best 2 and 7 running trials" in printed[1]


@pytest.mark.parametrize("num_trials", [1, pytest.param(40, marks=pytest.mark.slow)])
def test_files_made_from_the_journal_take_less_than_estimated(
    tmp_path: Path, num_trials: int
) -> None:
    num_epochs = 27
    config = TrialConfig.model_validate({"training": {"max_epochs": num_epochs}})
    canonical, reported = config.canonical(), longest_report(num_epochs).as_dict()
    place = {"host": "h" * 40, "pid": 1, "device": "d" * 40, "num_threads": 4, "hardware": {},
             "had_s": 1 / 3}  # fmt: skip
    with Journal(tmp_path / "journal.jsonl") as journal:
        for trial in range(num_trials):
            journal.append(
                TrialStarted(
                    trial=trial, params={}, config=canonical,
                    config_hash=config.config_hash(), seed=trial,
                )
            )  # fmt: skip
            journal.append(TrialPlaced(trial=trial, epoch=0, **place))
            for epoch in range(1, num_epochs + 1):
                report = reported | {"epoch": epoch, "num_params": 12_345_678}
                journal.append(EpochEnded(trial=trial, **report))
            journal.append(TrialEnded(trial=trial, state="complete", reason="r" * 200))
    run = RunFolder(tmp_path)
    view = RunView.read(run)
    write_tables(view)
    write_study(view, ())
    journal_bytes = run.journal.stat().st_size
    derived = [path.stat().st_size for path in (run.trials_table, run.epochs_table, run.study)]
    assert sum(derived) < journal_bytes + disk_estimate.FIXED_BYTES
    counted = records_bytes(config, num_trials, num_trials * num_epochs)
    # Two of each table and of the study while they are replaced.
    events = event_files(view, ())
    events_bytes = sum(map(len, events.values()))
    assert events_bytes < journal_bytes + disk_estimate.FIXED_BYTES
    assert journal_bytes + 2 * sum(derived) + events_bytes < counted


def test_scores_of_every_trial_count() -> None:
    more = replace(ESTIMATE, scores_bytes=kept_scores_bytes(10_000, 20))
    assert more.num_bytes - ESTIMATE.num_bytes > 20 * 4 * 11_000


def test_lists_and_scores_take_less_than_estimated(tmp_path: Path) -> None:
    num_pairs = 5000
    rng = np.random.default_rng(0)
    speakers = np.array([f"id1{number:04}" for number in range(40)])
    names = np.array([f"{speakers[each % 40]}/{each:011}/{each:05}.wav" for each in range(2000)])
    a, b = rng.integers(len(names), size=(2, num_pairs))
    data = SimpleNamespace(
        val_paths=tuple(names),
        val_a=a,
        val_b=b,
        val_is_target=a % 40 == b % 40,
        speaker_rule=None,
    )
    keep_pairs(tmp_path, data)
    scores = rng.normal(size=num_pairs)
    keep_teacher_scores(tmp_path, data, scores)
    kept = [path.stat().st_size for path in (tmp_path / "scores").iterdir()]
    assert len(kept) == 2
    assert sum(kept) <= kept_scores_bytes(num_pairs, 0)


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_a_search_without_room_runs_no_trial_and_one_with_room_keeps_to_it(
    make_settings: Callable[..., SearchConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "run", tmp_path / "out"
    chosen = make_settings(max_concurrent=2, keep_best=1, benchmark_top=0)

    def search() -> str:
        with out.open("w") as file:
            run_search(chosen, folder, SearchView(Console(file=file, width=300)))
        return out.read_text()

    with monkeypatch.context() as patched:
        patched.setattr(disk_estimate, "free_bytes", lambda _: 1000)
        with pytest.raises(ConfigError, match=r"at most about .*; 1\.0 kB free"):
            search()
    records = read_journal(folder / "journal.jsonl")
    assert [each for each in records if each.event == "trial_started"] == []

    estimated = re.search(r"disk: at most about ([\d.]+) MB", search())
    assert estimated is not None
    assert used_bytes(folder) < float(estimated[1]) * 1e6
