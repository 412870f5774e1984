"""Stores built on Ray: the same bytes, all faults, killed workers and drivers, progress."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from search.cluster import store_build
from search.cluster.store_build import ShardBuilder
from spaces.files.errors import CorpusError, StoreError
from tests.worlds.own_student import NET
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.crop_bank import CropBank
from trainable.features.training_data import TrainingData, load_training_data
from trainable.store import plan
from trainable.store.tasks import Builder, ProgressCallback, build_shards
from trainable.teachers.any_teacher import find_teacher
from trainable.teachers.targets import open_targets
from trainable.training.trainer import Trainer

NUM_SHARDS = 4
DEADLINE_S = 120
BANK = CropBank(num_crops=3, crop_frames=60, seed=1)
BUILD = """
import sys
from trainable.store import plan
from search.cli.app import run_app

plan.MIN_SHARD_BYTES, plan.MIN_SHARDS = 1, {pieces}
sys.argv = ["veer", "data", "build", {corpus!r}, "--workers", "2"]
run_app()
"""


def test_a_small_corpus_is_built_without_ray(
    make_corpus: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_build, "_build_on_ray", lambda *_: pytest.fail("asked Ray"))
    with ShardBuilder(num_workers=8) as builder:
        opened(make_corpus(tmp_path / "corpus"), tmp_path / "cache", builder)


def test_the_way_into_a_cluster_is_tried_before_anything_is_built(monkeypatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(store_build, "require_joinable", tried.append)
    with ShardBuilder("10.0.0.1:6379"), ShardBuilder():
        assert tried == ["10.0.0.1:6379"]


class TestWhatAWorkerSaysItHasWritten:
    def test_it_is_waited_for(self, tmp_path: Path) -> None:
        late = tmp_path / "features-00000.arrow"
        threading.Timer(0.3, late.touch).start()
        store_build._require_there([late])
        assert late.exists()

    def test_a_cache_that_is_not_shared_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_build, "APPEARS_WITHIN_S", 0.1)
        path = tmp_path / "features-00001.arrow"
        with pytest.raises(StoreError, match=rf"{path}: a worker has built it, .* all nodes"):
            store_build._require_there([path])


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MIN_SHARD_BYTES", 1)
    monkeypatch.setattr(plan, "MIN_SHARDS", NUM_SHARDS)


def opened(
    corpus: Path, cache: Path, build: Builder, progress: ProgressCallback | None = None
) -> TrainingData:
    config = read_corpus_config(corpus)
    return load_training_data(config, cache_dir=cache, build=build, progress=progress)


def files(cache: Path) -> dict[str, bytes]:
    """Every shard and manifest, by folder and name."""
    return {
        f"{file.parent.name}/{file.name}": file.read_bytes()
        for file in cache.glob("*/*")
        if file.suffix in (".arrow", ".json")
    }


def identities(cache: Path) -> dict[str, int]:
    shards = sorted(cache.glob("*/*.arrow"))
    return {f"{file.parent.name}/{file.name}": file.stat().st_ino for file in shards}


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_here", "small_shards")
class TestOnRay:
    def test_log_mels_copies_and_targets_have_the_bytes_of_a_local_build(
        self, tiny_world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        corpus = tmp_path / "corpus.yaml"
        text = (tiny_world / "corpus" / "corpus.yaml").read_text()
        folder = tiny_world / "corpus"
        for name in ("train_list.txt", "veri_val.txt"):
            text = text.replace(name, str(folder / name))
        text = text.replace(": train\n", f": {folder}/train\n").replace(
            ": val\n", f": {folder}/val\n"
        )
        corpus.write_text(text + "augmentation: {copies: 1}\n")
        teacher, reports = find_teacher(tiny_world / "teacher"), []
        for name in ("local", "ray"):
            cache = tmp_path / name
            with ShardBuilder(num_workers=2) as builder:
                build = builder if name == "ray" else build_shards

                def progress(*numbers: int) -> None:
                    reports.append(numbers)

                reports.clear()
                data = opened(corpus, cache, build, progress)
                assert reports[-1] == (80, 80)
                assert [done for done, _ in reports] == sorted(done for done, _ in reports)
                reports.clear()
                open_targets(teacher, data, BANK, cache_dir=cache, progress=progress, build=build)
                assert reports[-1] == (60, 60)
        local, on_ray = files(tmp_path / "local"), files(tmp_path / "ray")
        # Log-mels of two lists, a copy, targets of it and its original: shards, plan, manifest.
        assert len(local) >= 5 * (NUM_SHARDS + 2)
        assert local.keys() == on_ray.keys()
        assert [name for name in local if local[name] != on_ray[name]] == []
        assert capfd.readouterr() == ("", "")

    def test_faults_are_reported_together_in_order_and_good_shards_stay(
        self, make_corpus: Callable[..., Path], tmp_path: Path
    ) -> None:
        corpus = make_corpus(tmp_path / "corpus", num_utterances=2)
        lines = (tmp_path / "corpus" / "train_list.txt").read_text().split()
        for number, path in ((0, lines[1]), (11, lines[-1])):
            (tmp_path / "corpus" / "train" / path).write_bytes(b"not audio %d" % number)
        before = len(lines) // 2
        with ShardBuilder(num_workers=2) as builder, pytest.raises(CorpusError) as raised:
            opened(corpus, tmp_path / "cache", builder)
        assert [fault.split(": ")[0].rpartition(":")[2] for fault in raised.value.faults] == [
            "1",
            str(before),
        ]
        assert len(identities(tmp_path / "cache")) >= NUM_SHARDS - 2

    def test_a_killed_worker_is_replaced(
        self, make_corpus: Callable[..., Path], tmp_path: Path
    ) -> None:
        corpus = make_corpus(tmp_path / "corpus", num_utterances=4, duration_s=20.0)
        reports: list[int] = []
        with ShardBuilder(num_workers=2) as builder, killing_one(tmp_path / "cache") as killed:
            opened(corpus, tmp_path / "cache", builder, lambda done, _: reports.append(done))
        assert len(killed) == 1
        assert reports[-1] == 40
        opened(corpus, tmp_path / "local", build_shards)
        assert files(tmp_path / "cache") == files(tmp_path / "local")

    def test_a_teacher_of_the_users_own_is_asked_in_workers(
        self, tiny_world: Path, own_code: Callable[..., Path], tmp_path: Path
    ) -> None:
        trace = tmp_path / "trace"
        own_code("mine_there.net", NET.format(trace=str(trace)))
        data = opened(tiny_world / "corpus" / "corpus.yaml", tmp_path / "cache", build_shards)
        config = {
            "model": {"family": "mine_there.net:Net", "embedding_dim": 32},
            "loss": {"distillation": "none"},
            "training": {"batch_size": 8, "crop_frames": 60},
        }
        trainer = Trainer(TrialConfig.model_validate(config), data, device=torch.device("cpu"))
        trainer.run_epoch()
        teacher = CheckpointFolder(tmp_path / "teacher").save(trainer)
        imports_here = len(trace.read_text().splitlines())
        with ShardBuilder(num_workers=2) as builder:
            targets = open_targets(
                teacher, data, BANK, cache_dir=tmp_path / "cache", build=builder
            )
        assert targets.facts.embedding_dim == 32
        assert len(trace.read_text().splitlines()) > imports_here


@contextmanager
def killing_one(cache: Path) -> Iterator[list[int]]:
    """Kill, once, a process other than this one that writes into a store of the cache."""
    killed: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not killed and not ended.wait(0.005):
            killed.extend(writer for writer in writers(cache) if try_kill(writer))
            del killed[1:]

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield killed
    finally:
        ended.set()
        watching.join()


def writers(cache: Path) -> list[int]:
    """Processes with an unnamed file open below the cache: the vectors of a shard."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            targets = [str(each.readlink()) for each in (process / "fd").iterdir()]
        except OSError:
            continue
        if any(each.startswith(str(cache)) and "(deleted)" in each for each in targets):
            found.append(int(process.name))
    return [each for each in found if each != os.getpid()][:1]


def try_kill(process: int) -> bool:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.cluster
@pytest.mark.usefixtures("small_shards")
def test_a_build_whose_driver_was_killed_goes_on(
    make_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    corpus, cache = make_corpus(tmp_path / "corpus", duration_s=20.0), tmp_path / "cache"
    script = BUILD.format(pieces=NUM_SHARDS * 2, corpus=str(corpus))
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | {"VEER_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
    )
    deadline_s = time.monotonic() + DEADLINE_S
    while not identities(cache):
        assert process.poll() is None, "the build ended by itself"
        assert time.monotonic() < deadline_s, "waited in vain for a shard"
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = identities(cache)
    assert not list(cache.glob("*/manifest.json"))
    reports: list[int] = []
    with ShardBuilder(num_workers=2) as builder:
        opened(corpus, cache, builder, lambda done, _: reports.append(done))
    after = identities(cache)
    assert {name: after[name] for name in kept} == kept
    assert len(after) > len(kept)
    assert reports[0] > 0
    assert reports[-1] == 50
    assert not list(cache.glob("*/.*"))
