"""Shards are Arrow files with checksums, written in constant memory."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.worlds.small_store import flip_byte, frames_position, manifest, opened, store
from trainable.audio.reading import AudioEntry
from trainable.features.request import LOG_MELS
from trainable.store.folder import shard_location
from trainable.store.shard_writing import write_shard
from trainable.store.shards import (
    ShardDamage,
    ShardKind,
    ShardLocation,
    open_shard,
    verify_shard,
)


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


def test_a_shard_knows_its_store_and_its_number(entries: list[AudioEntry], tmp_path: Path) -> None:
    opened(entries, tmp_path)
    location = shard_location(store(tmp_path), manifest(tmp_path), 1)
    assert open_shard(location).record.num_rows == 1
    (store(tmp_path) / LOG_MELS.file_name(2)).write_bytes(location.path.read_bytes())
    for wrong in (replace(location, number=2), replace(location, key="0" * 64)):
        with pytest.raises(ShardDamage, match=r"0000\d\.arrow: is a shard of another store"):
            open_shard(wrong)


def test_full_checksums_find_one_flipped_bit(entries: list[AudioEntry], tmp_path: Path) -> None:
    opened(entries, tmp_path, shard_bytes=2**20)
    (record,) = manifest(tmp_path).shards
    location = shard_location(store(tmp_path), manifest(tmp_path), 0)
    path = location.path
    verify_shard(location, record)
    flip_byte(path, frames_position(path) + 26 * 160 + 7)
    with pytest.raises(ShardDamage, match=r"CRC-32 of .*/1\.wav must be \d+, got \d+"):
        verify_shard(location, record)


def test_memory_of_a_build_does_not_grow_with_the_shard(tmp_path: Path) -> None:
    frames = np.zeros((2_000, 80), np.float16)
    pool, usual = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        location = ShardLocation(folder=tmp_path, kind=LOG_MELS, key="key", number=0)
        record = write_shard(location, ((str(n), frames) for n in range(50)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)
    assert record.size_bytes > 16_000_000
    assert peak_bytes + pool.max_memory() < 1_000_000


@pytest.mark.parametrize("bit", [1, 128])
def test_a_flipped_bit_anywhere_is_found_or_changes_nothing(tmp_path: Path, bit: int) -> None:
    kind = ShardKind(stem="targets", vectors="crops", width=4)
    location = ShardLocation(folder=tmp_path, kind=kind, key="a" * 64, number=0)
    rng = np.random.default_rng(0)
    rows = [(f"id{n}/{n}.wav", rng.normal(size=(3, 4)).astype(np.float16)) for n in range(3)]
    record = write_shard(location, rows)
    whole, num_found = location.path.read_bytes(), 0
    vectors = np.concatenate([vectors for _, vectors in rows])
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= bit
        location.path.unlink()
        location.path.write_bytes(content)
        try:
            verify_shard(location, record)
        except ShardDamage:
            num_found += 1
            continue
        shard = open_shard(location)
        assert np.array_equal(shard.vectors_NW, vectors), position
        assert shard.length_U.tolist() == [3, 3, 3], position
    # What is not found lies in padding, or in fields of Arrow's that nothing reads.
    assert num_found > len(whole) / 2
