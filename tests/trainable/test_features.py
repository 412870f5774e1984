"""Log-mels on disk: the same numbers as computed afresh, and nothing half-written."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from models import LogMel
from trainable.audio import AudioEntry
from trainable.errors import CorpusError
from trainable.features import FeatureTable, open_features


def write_wave(path: Path, num_samples: int, seed: int) -> np.ndarray:
    wave = np.random.default_rng(seed).normal(0, 0.1, num_samples).astype(np.float32)
    soundfile.write(path, wave, 16_000, subtype="FLOAT")
    return wave


@pytest.fixture
def entries(tmp_path: Path) -> list[AudioEntry]:
    for number, size in enumerate((16_000, 4_000, 24_000)):
        write_wave(tmp_path / f"{number}.wav", size, number)
    return [AudioEntry(path=tmp_path / f"{n}.wav", place=f"list:{n + 1}") for n in range(3)]


def table(entries: list[AudioEntry], tmp_path: Path) -> FeatureTable:
    return open_features(entries, min_duration_s=0.2, cache_dir=tmp_path / "cache")


def test_stored_crops_are_those_of_the_waveform(entries: list[AudioEntry], tmp_path: Path) -> None:
    feat = table(entries, tmp_path).crops(np.array([2, 0]), np.array([30, 5]), 40)
    for row, (number, start) in enumerate([(2, 30), (0, 5)]):
        wave, _ = soundfile.read(entries[number].path, dtype="float32")
        fresh = LogMel()(torch.from_numpy(wave)[None])[0, start : start + 40]
        # float16 keeps 11 bits of numbers below 16.
        torch.testing.assert_close(feat[row], fresh, rtol=0, atol=8e-3)
    assert feat.shape == (2, 40, 80)
    assert feat.dtype == torch.float32


def test_short_utterances_are_repeated(entries: list[AudioEntry], tmp_path: Path) -> None:
    features = table(entries, tmp_path)
    assert features.length[1] == 26
    feat = features.crops(np.array([1]), np.array([0]), 60)[0]
    assert torch.equal(feat[26:52], feat[:26])
    assert torch.equal(feat[52:], feat[:8])


def test_a_second_opening_computes_nothing(entries: list[AudioEntry], tmp_path: Path) -> None:
    first = table(entries, tmp_path)
    calls: list[int] = []
    again = open_features(
        entries,
        min_duration_s=0.2,
        cache_dir=tmp_path / "cache",
        progress=lambda done, _: calls.append(done),
    )
    assert calls == []
    assert np.array_equal(first.frames_NF, again.frames_NF)


def test_a_changed_file_is_computed_again(entries: list[AudioEntry], tmp_path: Path) -> None:
    first = table(entries, tmp_path)
    write_wave(entries[0].path, 16_000, seed=9)
    os.utime(entries[0].path, ns=(1, 1))
    assert not np.array_equal(first.frames_NF, table(entries, tmp_path).frames_NF)


def test_every_bad_file_is_named_and_no_table_is_left(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    entries[0].path.write_bytes(b"not audio")
    soundfile.write(entries[2].path, np.zeros(16_000), 16_000)
    with pytest.raises(CorpusError, match=r"list:1.*\n.*list:3.*silen"):
        table(entries, tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_truncated_table_is_refused_with_the_fix(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    table(entries, tmp_path)
    (file,) = (tmp_path / "cache").glob("*/frames.f16")
    with file.open("r+b") as stream:
        stream.truncate(100)
    with pytest.raises(CorpusError, match=r"got 100; delete .*log-mels-"):
        table(entries, tmp_path)
