"""Stores through object storage: fetched once, checked, the longest unused removed first."""

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spaces.files.errors import ConfigError, StorageError, StoreError
from spaces.files.locations import mirror_folder
from tests.worlds.object_store import ObjectStore, object_store
from tests.worlds.small_store import NUM_FILES, everything, flip_byte, frames_position
from trainable.audio.reading import AudioEntry
from trainable.features.feature_table import FeatureTable, open_features
from trainable.storage import retrying
from trainable.storage.remote import RemoteFolder
from trainable.store import shared

Open = Callable[..., FeatureTable]


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as patch, object_store(patch) as one:
        yield one


@pytest.fixture
def cache(server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a cache of its own; requests are repeated without a long wait."""
    server.num_requests.clear()
    quick = retrying.Patience(attempts=2, first_wait_s=0.01)
    monkeypatch.setattr(shared, "TRIAL", quick)
    return f"s3://bucket/{tmp_path.name}"


@pytest.fixture
def open_on(
    entries: list[AudioEntry], cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Open:
    """Opens the store on a machine, which is a folder; another duration is another store."""

    def opened(machine: str, min_duration_s: float = 0.2) -> FeatureTable:
        monkeypatch.setenv("VEER_LOCAL", str(tmp_path / machine))
        return open_features(
            entries,
            min_duration_s=min_duration_s,
            cache_dir=mirror_folder(cache),
            shard_bytes=1,
        )

    return opened


def folders(tmp_path: Path, machine: str) -> list[Path]:
    return sorted((tmp_path / machine).glob("*/features-*"))


def gets(server: ObjectStore) -> dict[str, int]:
    """How often each shard was read."""
    return {
        name.rpartition("/")[2]: count
        for (method, name), count in server.num_requests.items()
        if method == "GET" and name.endswith(".arrow")
    }


def test_a_machine_fetches_each_shard_once(server: ObjectStore, open_on: Open) -> None:
    built = everything(open_on("first"))
    assert gets(server) == {}
    assert everything(open_on("second")).equal(built)
    assert sorted(gets(server).values()) == [1] * NUM_FILES
    assert everything(open_on("second")).equal(built)
    assert sorted(gets(server).values()) == [1] * NUM_FILES


def test_a_shard_that_is_damaged_there_is_not_used(
    server: ObjectStore, open_on: Open, tmp_path: Path, cache: str
) -> None:
    open_on("first")
    (folder,) = folders(tmp_path, "first")
    shard = sorted(folder.glob("*.arrow"))[0]
    copy = tmp_path / "damaged.arrow"
    copy.write_bytes(shard.read_bytes())
    flip_byte(copy, frames_position(copy) + 8)
    RemoteFolder(f"{cache}/{folder.name}").put(copy, shard.name)
    with pytest.raises(StorageError, match=rf"{shard.name}: came damaged 3 times: .*delete that"):
        open_on("second")
    assert gets(server)[shard.name] == 3
    assert not list((tmp_path / "second").glob(f"*/*/{shard.name}"))
    assert not list((tmp_path / "second").glob("*/*/manifest.json"))


def test_the_longest_unused_store_makes_room(
    open_on: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    durations = (0.2, 0.21, 0.22)
    for duration in durations:
        open_on("first", duration)
    sizes = [
        sum(file.stat().st_size for file in folder.iterdir())
        for folder in folders(tmp_path, "first")
    ]
    monkeypatch.setenv("VEER_LOCAL_GB", str(2.5 * max(sizes) / 1e9))
    names = []
    for duration in durations:
        open_on("second", duration)
        gc.collect()  # an open table holds its store
        (new,) = {each.name for each in folders(tmp_path, "second")} - set(names)
        names.append(new)
        time.sleep(0.02)  # times of use differ
    assert [each.name for each in folders(tmp_path, "second")] == sorted(names[1:])


def test_a_limit_that_nothing_fits_is_refused(
    open_on: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_on("first")
    monkeypatch.setenv("VEER_LOCAL_GB", "0.000001")
    with pytest.raises(StoreError, match=r"may take 1e-06 GB of this machine.*raise \$VEER_LOCAL"):
        open_on("second")
    monkeypatch.setenv("VEER_LOCAL_GB", "much")
    with pytest.raises(ConfigError, match=r"VEER_LOCAL_GB must be a number .*, got 'much'"):
        open_on("third")
