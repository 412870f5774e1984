"""The store on disk: shards, interrupted builds, damage, several processes."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch

from trainable.audio import AudioEntry
from trainable.errors import CorpusError
from trainable.feature_plan import LOG_MELS
from trainable.features import FeatureTable, open_features
from trainable.store.folder import place_of
from trainable.store.plan import StoreManifest
from trainable.store.shards import (
    ShardDamage,
    ShardPlace,
    open_shard,
    verify_shard,
    write_shard,
)

NUM_FILES = 6
BUILD = """
import sys, time
from pathlib import Path
from trainable.audio import AudioEntry
from trainable.feature_plan import LOG_MELS
from trainable.features import open_features

folder, num_files, cache, pause_s = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
entries = [AudioEntry(path=folder / f"{n}.wav", place=f"list:{n + 1}") for n in range(num_files)]

def progress(done, total):
    print(done, flush=True)
    time.sleep(float(pause_s))

open_features(
    entries, min_duration_s=0.2, cache_dir=Path(cache), progress=progress, shard_bytes=1
)
"""


@pytest.fixture
def entries(tmp_path: Path) -> list[AudioEntry]:
    for number in range(NUM_FILES):
        wave = np.random.default_rng(number).normal(0, 0.1, 4_000 + 800 * number)
        soundfile.write(tmp_path / f"{number}.wav", wave, 16_000)
    numbers = range(NUM_FILES)
    return [AudioEntry(path=tmp_path / f"{n}.wav", place=f"list:{n + 1}") for n in numbers]


def opened(
    entries: list[AudioEntry], tmp_path: Path, done: list[int] | None = None, shard_bytes: int = 1
) -> FeatureTable:
    return open_features(
        entries,
        min_duration_s=0.2,
        cache_dir=tmp_path / "cache",
        progress=None if done is None else lambda number, _: done.append(number),
        shard_bytes=shard_bytes,
    )


def store(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "cache").iterdir()
    return folder


def manifest(tmp_path: Path) -> StoreManifest:
    return StoreManifest.model_validate_json((store(tmp_path) / "manifest.json").read_bytes())


def identities(tmp_path: Path) -> list[int]:
    """A rebuilt shard is another file."""
    return [file.stat().st_ino for file in sorted(store(tmp_path).glob("features-*.arrow"))]


def everything(features: FeatureTable) -> torch.Tensor:
    return features.crops(np.arange(NUM_FILES), np.zeros(NUM_FILES, np.int64), 60)


def build_elsewhere(tmp_path: Path, pause_s: float) -> subprocess.Popen[str]:
    arguments = (str(tmp_path), str(NUM_FILES), str(tmp_path / "cache"), str(pause_s))
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, *arguments], stdout=subprocess.PIPE, text=True
    )


def flip_byte(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def frames_position(path: Path) -> int:
    """Where the frames begin in the file: after all that precedes their first bytes."""
    batch = pa.ipc.open_file(path).get_batch(0)
    return path.read_bytes().index(batch.column("frames").values.values.buffers()[1].to_pybytes())


def test_the_manifest_says_what_the_shards_are(entries: list[AudioEntry], tmp_path: Path) -> None:
    features = opened(entries, tmp_path)
    written = manifest(tmp_path)
    assert [record.name for record in written.shards] == [
        LOG_MELS.file_name(n) for n in range(NUM_FILES)
    ]
    assert [record.num_vectors for record in written.shards] == features.length.tolist()
    for record in written.shards:
        assert record.size_bytes == (store(tmp_path) / record.name).stat().st_size
    raw = json.loads((store(tmp_path) / "manifest.json").read_text())
    assert raw["plan"]["settings"]["front_end"]["num_mels"] == 80
    assert raw["plan"]["lists"] == ["list"]
    assert store(tmp_path).name == f"features-{raw['plan']['key'][:16]}"


def test_any_arrow_reader_finds_paths_and_frames(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    features = opened(entries, tmp_path, shard_bytes=2**20)
    table = pa.ipc.open_file(store(tmp_path) / LOG_MELS.file_name(0)).read_all()
    assert table["path"].to_pylist() == [str(entry.path) for entry in entries]
    third = np.array(table["frames"][2].as_py(), np.float16)
    begin, length = features.offset[2], features.length[2]
    assert np.array_equal(third, features.vectors_NW[0][begin : begin + length])


def test_frames_are_the_pages_of_the_file(entries: list[AudioEntry], tmp_path: Path) -> None:
    before = pa.total_allocated_bytes()
    features = opened(entries, tmp_path, shard_bytes=2**20)
    assert pa.total_allocated_bytes() == before
    assert not features.vectors_NW[0].flags.owndata
    path = store(tmp_path) / LOG_MELS.file_name(0)
    position = frames_position(path)
    old = features.vectors_NW[0][0, 0].view(np.uint16)
    # A copy would not see what another writes into the file.
    flip_byte(path, position)
    assert features.vectors_NW[0][0, 0].view(np.uint16) == old ^ 1


def test_opening_reads_no_frames_and_writes_nothing(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    opened(entries, tmp_path)
    before = {file: file.stat().st_mtime_ns for file in store(tmp_path).glob("*.*[nw]")}
    path = store(tmp_path) / LOG_MELS.file_name(0)
    flip_byte(path, frames_position(path))
    os.utime(path, ns=(before[path], before[path]))
    done: list[int] = []
    opened(entries, tmp_path, done)
    assert done == []
    assert before == {file: file.stat().st_mtime_ns for file in before}


def test_a_killed_build_goes_on_with_the_shards_that_it_finished(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    process = build_elsewhere(tmp_path, pause_s=0.3)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 4:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = identities(tmp_path)
    assert len(kept) == 3
    assert not (store(tmp_path) / "manifest.json").exists()
    (store(tmp_path) / ".features-00003.arrow.1-00000000.tmp").write_bytes(b"half")
    done: list[int] = []
    features = opened(entries, tmp_path, done)
    assert done == [4, 5, 6]
    assert identities(tmp_path)[:3] == kept
    assert not list(store(tmp_path).glob(".*"))
    fresh = opened(entries, tmp_path / "fresh")
    assert torch.equal(everything(features), everything(fresh))


def test_two_processes_that_build_the_same_store_agree(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    process = build_elsewhere(tmp_path, pause_s=0.2)
    assert process.stdout is not None
    process.stdout.readline()
    before = identities(tmp_path)
    done: list[int] = []
    features = opened(entries, tmp_path, done)
    assert done == sorted(done)
    assert set(done) <= set(range(NUM_FILES + 1))
    process.communicate()
    assert process.returncode == 0
    assert identities(tmp_path)[: len(before)] == before
    assert torch.equal(everything(features), everything(opened(entries, tmp_path / "fresh")))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: os.truncate(path, 500), r"00002\.arrow: must have \d+ bytes, got 500"),
        (lambda path: path.unlink(), r"00002\.arrow: is missing"),
        (
            lambda path: path.write_bytes(path.with_name(LOG_MELS.file_name(1)).read_bytes()),
            r"00002\.arrow: must have \d+ bytes, got",
        ),
    ],
    ids=["truncated", "missing", "another"],
)
def test_a_damaged_shard_is_named_and_rebuilt_alone(
    entries: list[AudioEntry],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], object],
    told: str,
) -> None:
    whole = everything(opened(entries, tmp_path))
    before = identities(tmp_path)
    # Held, so that a new file cannot get an old one's number.
    held = [file.open("rb") for file in store(tmp_path).glob("*.arrow")]
    path = store(tmp_path) / LOG_MELS.file_name(2)
    damage(path)
    done: list[int] = []
    with caplog.at_level(logging.WARNING):
        features = opened(entries, tmp_path, done)
    for file in held:
        file.close()
    (message,) = caplog.messages
    assert re.search(told, message)
    assert message.endswith("this shard is rebuilt")
    assert done == [NUM_FILES]
    after = identities(tmp_path)
    assert [n for n in range(NUM_FILES) if after[n] != before[n]] == [2]
    assert torch.equal(everything(features), whole)


def test_a_wrong_checksum_record_is_found_at_opening(
    entries: list[AudioEntry], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = everything(opened(entries, tmp_path))
    right = manifest(tmp_path)
    wrong = right.shards[4].model_copy(update={"crc32": right.shards[4].crc32 ^ 1})
    shards = (*right.shards[:4], wrong, right.shards[5])
    text = right.model_copy(update={"shards": shards}).model_dump_json()
    (store(tmp_path) / "manifest.json").write_text(text)
    assert torch.equal(everything(opened(entries, tmp_path)), whole)
    assert f"00004.arrow: crc32 must be {wrong.crc32}, got {right.shards[4].crc32}" in caplog.text
    assert manifest(tmp_path) == right


@pytest.mark.parametrize("text", ["{", "{}", ""])
def test_a_damaged_manifest_is_worked_out_from_the_shards(
    entries: list[AudioEntry], tmp_path: Path, text: str
) -> None:
    opened(entries, tmp_path)
    right, files = manifest(tmp_path), identities(tmp_path)
    (store(tmp_path) / "manifest.json").write_text(text)
    done: list[int] = []
    opened(entries, tmp_path, done)
    assert done == []
    assert (manifest(tmp_path), identities(tmp_path)) == (right, files)


def test_a_store_of_other_audio_is_never_used_whatever_its_name(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    opened(entries, tmp_path)
    name = store(tmp_path).name
    other = list(reversed(entries))
    expected = everything(opened(other, tmp_path / "fresh"))
    target = store(tmp_path / "fresh")
    for file in target.iterdir():
        file.unlink()
    for file in (tmp_path / "cache" / name).iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    assert torch.equal(everything(opened(other, tmp_path / "fresh")), expected)


def test_a_shard_knows_its_store_and_its_number(entries: list[AudioEntry], tmp_path: Path) -> None:
    opened(entries, tmp_path)
    place = place_of(store(tmp_path), manifest(tmp_path), 1)
    assert open_shard(place).record.num_rows == 1
    (store(tmp_path) / LOG_MELS.file_name(2)).write_bytes(place.path.read_bytes())
    for wrong in (replace(place, number=2), replace(place, key="0" * 64)):
        with pytest.raises(ShardDamage, match=r"0000\d\.arrow: is a shard of another store"):
            open_shard(wrong)


def test_full_checksums_find_one_flipped_bit(entries: list[AudioEntry], tmp_path: Path) -> None:
    opened(entries, tmp_path, shard_bytes=2**20)
    (record,) = manifest(tmp_path).shards
    place = place_of(store(tmp_path), manifest(tmp_path), 0)
    path = place.path
    verify_shard(place, record)
    flip_byte(path, frames_position(path) + 26 * 160 + 7)
    with pytest.raises(ShardDamage, match=r"CRC-32 of .*/1\.wav must be \d+, got \d+"):
        verify_shard(place, record)


def test_faults_in_several_shards_are_told_together_and_good_shards_stay(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    entries[1].path.write_bytes(b"not audio")
    soundfile.write(entries[4].path, np.zeros(16_000), 16_000)
    done: list[int] = []
    with pytest.raises(CorpusError, match=r"list:2: .*\nlist:5: .*silen") as raised:
        opened(entries, tmp_path, done)
    assert len(raised.value.faults) == 2
    assert done == [1, 2, 3, 4, 5, 6]
    assert [file.name for file in store(tmp_path).glob("*.arrow")] == [LOG_MELS.file_name(0)]


def test_memory_of_a_build_does_not_grow_with_the_shard(tmp_path: Path) -> None:
    frames = np.zeros((2_000, 80), np.float16)
    pool, usual = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        place = ShardPlace(folder=tmp_path, kind=LOG_MELS, key="key", number=0)
        record = write_shard(place, ((str(n), frames) for n in range(50)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)
    assert record.size_bytes > 16_000_000
    assert peak_bytes + pool.max_memory() < 1_000_000


def test_the_time_of_a_store_that_is_in_use_is_its_last_use(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    opened(entries, tmp_path)
    lock = store(tmp_path) / "in-use.lock"
    os.utime(lock, (1, 1))
    opened(entries, tmp_path)
    assert time.time() - lock.stat().st_mtime < 60
