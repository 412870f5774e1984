"""The stores of a cache: listed, verified, and offered for removal."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spaces.files.errors import CorpusError
from trainable.audio.reading import AudioEntry
from trainable.corpus.corpus import read_corpus_config
from trainable.features.feature_table import open_features
from trainable.features.training_data import load_training_data
from trainable.store.cache import StoreState, list_stores, prunable
from trainable.store.plan import FORMAT_VERSION, SOURCE, StoreManifest, StorePlan
from trainable.store.shard_writing import write_shard
from trainable.store.shards import ShardKind, ShardLocation
from trainable.store.verifying import verify_store

Build = Callable[..., None]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return a function that builds a store of one-second files; the seed decides the content."""

    def build_store(name: str = "a", *, seed: int = 0, num_files: int = 3, **more: object) -> None:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        wave = np.random.default_rng(seed).normal(0, 0.1, (num_files, 15_900))
        for number in range(num_files):
            soundfile.write(folder / f"{number}.wav", wave[number], 16_000)
            os.utime(folder / f"{number}.wav", (seed, seed))
        entries = [
            AudioEntry(path=folder / f"{n}.wav", listed_at=f"{name}.txt:{n}")
            for n in range(num_files)
        ]
        settings = {"min_duration_s": 0.2, "shard_bytes": 1, **more}
        open_features(entries, cache_dir=tmp_path / "cache", **settings)  # type: ignore[arg-type]

    return build_store


def test_a_complete_store_lists_what_it_holds(build: Build, tmp_path: Path) -> None:
    build()
    (store,) = list_stores(tmp_path / "cache")
    assert store.state is StoreState.COMPLETE
    assert store.plan is not None
    assert store.plan.lists == ("a.txt",)
    assert store.plan.num_rows == (1, 1, 1)
    assert store.plan.audio_dirs == (str(tmp_path / "a"),)
    assert store.num_shards == 3
    # 100 frames of 10 ms a file.
    assert store.num_vectors == 300
    assert store.size_bytes == sum(file.stat().st_size for file in store.folder.iterdir())
    assert store.unused_days < 0.01


def test_a_store_without_a_manifest_is_unfinished(build: Build, tmp_path: Path) -> None:
    build()
    folder = list_stores(tmp_path / "cache")[0].folder
    (folder / "manifest.json").unlink()
    (folder / "features-00001.arrow").unlink()
    (store,) = list_stores(tmp_path / "cache")
    assert (store.state, store.num_shards, store.num_vectors) == (StoreState.UNFINISHED, 2, None)
    assert prunable([store], None) == (store,)


def test_the_store_of_a_faulty_corpus_is_unfinished(build: Build, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"must last at least 2 s, got 0\.9938 s"):
        build(min_duration_s=2.0)
    assert list_stores(tmp_path / "cache") == ()


def test_a_changed_corpus_supersedes_its_old_store_and_no_other(
    build: Build, tmp_path: Path
) -> None:
    build("a", seed=1)
    build("b", seed=1)
    build("a", seed=1, min_duration_s=0.3)
    before = {store.folder for store in list_stores(tmp_path / "cache")}
    assert prunable(list_stores(tmp_path / "cache"), None) == ()
    old = next(
        store.folder
        for store in list_stores(tmp_path / "cache")
        if store.plan
        and store.plan.lists == ("a.txt",)
        and store.plan.settings["min_duration_s"] == 0.2
    )
    os.utime(old / "in-use.lock", (1, 1))
    build("a", seed=2)
    stores = list_stores(tmp_path / "cache")
    assert len(stores) == 4
    assert [store.folder for store in prunable(stores, None)] == [old]
    assert {s.folder for s in stores if s.state is StoreState.COMPLETE} >= before - {old}


def test_the_same_lists_in_two_folders_are_two_corpora(
    make_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    text = make_corpus(tmp_path, num_utterances=2).read_text()
    (tmp_path / "train").rename(tmp_path / "clean")
    shutil.copytree(tmp_path / "clean", tmp_path / "far")
    for room in ("clean", "far"):
        corpus = tmp_path / f"{room}.yaml"
        corpus.write_text(text.replace("train_dir: train", f"train_dir: {room}"))
        load_training_data(read_corpus_config(corpus), cache_dir=tmp_path / "cache")
    stores = list_stores(tmp_path / "cache")
    folders = [folder for store in stores if store.plan for folder in store.plan.audio_dirs]
    assert {str(tmp_path / name) for name in ("clean", "far", "val")} == set(folders)
    assert {store.state for store in stores} == {StoreState.COMPLETE}
    assert prunable(stores, None) == ()


def write_made_from(folder: Path, source: str, key: str) -> None:
    """Write a complete store without rows that was made from another store."""
    kind = ShardKind(stem="targets", vectors="crops", width=4)
    location = ShardLocation(folder=folder, kind=kind, key=key, number=0)
    folder.mkdir()
    record = write_shard(location, [("a", np.zeros((2, 4), np.float16))])
    plan = StorePlan(
        format_version=FORMAT_VERSION,
        kind=kind,
        key=key,
        settings={SOURCE: source},
        lists=("a.txt",),
        audio_dirs=("/a",),
        num_rows=(1,),
    )
    manifest = StoreManifest(plan=plan, shards=(record,))
    (folder / "manifest.json").write_text(manifest.model_dump_json())


def test_what_was_made_from_a_superseded_or_missing_store_is_superseded(
    build: Build, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    build("a", seed=1)
    (old,) = list_stores(cache)
    assert old.key is not None
    write_made_from(cache / "targets-aaaa", old.key, "a" * 64)
    write_made_from(cache / "targets-bbbb", "b" * 64, "c" * 64)

    def states() -> dict[str, StoreState]:
        return {store.folder.name: store.state for store in list_stores(cache)}

    assert states()["targets-aaaa"] is StoreState.COMPLETE
    assert states()["targets-bbbb"] is StoreState.SUPERSEDED
    manifest = old.folder / "manifest.json"
    content = manifest.read_text()
    manifest.unlink()
    assert states()["targets-aaaa"] is StoreState.COMPLETE  # its log-mels may be built on
    manifest.write_text(content)
    os.utime(old.folder / "in-use.lock", (1, 1))
    build("a", seed=2)
    assert states()["targets-aaaa"] is StoreState.SUPERSEDED
    removed = {store.folder.name for store in prunable(list_stores(cache), None)}
    assert removed == {old.folder.name, "targets-aaaa", "targets-bbbb"}


def test_a_complete_store_is_pruned_by_age_only(build: Build, tmp_path: Path) -> None:
    build()
    (store,) = list_stores(tmp_path / "cache")
    assert store.state is StoreState.COMPLETE
    assert prunable([store], None) == ()
    assert prunable([store], 1) == ()
    ten_days_ago = time.time() - 10 * 86_400
    os.utime(store.folder / "in-use.lock", (ten_days_ago, ten_days_ago))
    (store,) = list_stores(tmp_path / "cache")
    assert store.unused_days == pytest.approx(10, abs=0.01)
    assert prunable([store], 9) == (store,)
    assert prunable([store], 11) == ()


def test_verifying_names_every_damaged_shard(build: Build, tmp_path: Path) -> None:
    build()
    folder = list_stores(tmp_path / "cache")[0].folder
    assert verify_store(folder) == ()
    for number in (0, 2):
        path = folder / f"features-0000{number}.arrow"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    first, second = verify_store(folder)
    assert "features-00000.arrow: CRC-32 of" in first
    assert "features-00002.arrow: CRC-32 of" in second
    (folder / "manifest.json").unlink()
    assert verify_store(folder) == (f"{folder / 'manifest.json'}: is missing or damaged",)
