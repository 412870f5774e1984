"""A store is built once, also after interruptions and by several processes."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from spaces.files.errors import CorpusError
from tests.worlds.small_store import (
    NUM_FILES,
    build_elsewhere,
    everything,
    flip_byte,
    frames_position,
    identities,
    manifest,
    opened,
    store,
)
from trainable.audio.reading import AudioEntry
from trainable.features.request import LOG_MELS


def test_the_manifest_describes_the_shards(entries: list[AudioEntry], tmp_path: Path) -> None:
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


def test_a_killed_build_continues_with_the_shards_that_it_finished(
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


@pytest.mark.slow
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


def test_faults_of_all_shards_are_reported_together_and_good_shards_stay(
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


def test_the_time_of_a_store_that_is_in_use_is_its_last_use(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    opened(entries, tmp_path)
    lock = store(tmp_path) / "in-use.lock"
    os.utime(lock, (1, 1))
    opened(entries, tmp_path)
    assert time.time() - lock.stat().st_mtime < 60
