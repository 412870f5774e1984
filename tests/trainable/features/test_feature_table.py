"""Log-mels on disk are those computed from the audio, and are never half-written."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from models import LogMel
from spaces.files.errors import CorpusError, StoreError
from trainable.audio.reading import AudioEntry, load_wave
from trainable.corpus.corpus import read_corpus, read_corpus_config
from trainable.features.feature_table import FeatureTable, open_features


def write_wave(path: Path, num_samples: int, seed: int) -> np.ndarray:
    wave = np.random.default_rng(seed).normal(0, 0.1, num_samples).astype(np.float32)
    soundfile.write(path, wave, 16_000, subtype="FLOAT")
    return wave


@pytest.fixture
def entries(tmp_path: Path) -> list[AudioEntry]:
    for number, size in enumerate((16_000, 4_000, 24_000)):
        write_wave(tmp_path / f"{number}.wav", size, number)
    return [AudioEntry(path=tmp_path / f"{n}.wav", listed_at=f"list:{n + 1}") for n in range(3)]


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
    assert np.array_equal(first.vectors_NW, again.vectors_NW)


def test_a_changed_file_is_computed_again(entries: list[AudioEntry], tmp_path: Path) -> None:
    first = table(entries, tmp_path)
    write_wave(entries[0].path, 16_000, seed=9)
    os.utime(entries[0].path, ns=(1, 1))
    assert not np.array_equal(first.vectors_NW, table(entries, tmp_path).vectors_NW)


def test_every_bad_file_is_named_and_no_table_is_left(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    entries[0].path.write_bytes(b"not audio")
    soundfile.write(entries[2].path, np.zeros(16_000), 16_000)
    with pytest.raises(CorpusError, match=r"list:1.*\n.*list:3.*silen"):
        table(entries, tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


def plain(entries: list[AudioEntry]) -> tuple[np.ndarray, list[int]]:
    """All frames in one array, and the number of each file's: no store in between."""
    frames = []
    for entry in entries:
        wave = torch.from_numpy(load_wave(entry.path))[None]
        frames.append(LogMel()(wave)[0].numpy().astype(np.float16))
    return np.concatenate(frames), [len(part) for part in frames]


@pytest.mark.parametrize("shard_bytes", [1, 20_000, 2**29])
def test_crops_are_bit_equal_to_those_of_one_array(
    make_corpus: Callable[..., Path], tmp_path: Path, shard_bytes: int
) -> None:
    corpus = read_corpus_config(make_corpus(tmp_path / "corpus", num_utterances=2))
    entries = read_corpus(corpus).audio
    features = open_features(
        entries, min_duration_s=0.2, cache_dir=tmp_path / "cache", shard_bytes=shard_bytes
    )
    frames, lengths = plain(list(entries))
    rng = np.random.default_rng(0)
    row_B = rng.integers(len(entries), size=64)
    start_B = rng.integers(80, size=64)
    offset = np.cumsum(lengths) - lengths
    expected = [
        [frames[offset[row] + (start + t) % lengths[row]] for t in range(150)]
        for row, start in zip(row_B, start_B, strict=True)
    ]
    feat = features.crops(row_B, start_B, 150)
    assert np.array_equal(feat.numpy(), np.array(expected, np.float32))
    assert features.length.tolist() == lengths
    # A second is about 16,000 bytes: five files fill four shards of 20,000.
    assert len(features.vectors_NW) == {1: 20, 20_000: 16, 2**29: 1}[shard_bytes]


class CountingFrames(np.ndarray):
    gathers = 0

    def __getitem__(self, key: object) -> np.ndarray:
        type(self).gathers += 1
        return np.asarray(super().__getitem__(key))


@pytest.mark.parametrize(("shard_bytes", "num_gathers"), [(1, 2), (2**29, 1)])
def test_a_batch_is_one_gather_for_every_shard_that_it_touches(
    entries: list[AudioEntry], tmp_path: Path, shard_bytes: int, num_gathers: int
) -> None:
    features = open_features(
        entries, min_duration_s=0.2, cache_dir=tmp_path / "cache", shard_bytes=shard_bytes
    )
    counted = dataclasses.replace(
        features, vectors_NW=tuple(part.view(CountingFrames) for part in features.vectors_NW)
    )
    CountingFrames.gathers = 0
    row_B = np.array([0, 2, 2, 0, 2, 0, 0])
    feat = counted.crops(row_B, np.arange(7), 20)
    assert CountingFrames.gathers == num_gathers
    assert torch.equal(feat, features.crops(row_B, np.arange(7), 20))


def test_a_missing_file_is_named_with_its_line(entries: list[AudioEntry], tmp_path: Path) -> None:
    entries[1].path.unlink()
    with pytest.raises(CorpusError, match=r"list:2: .*1\.wav: No such file"):
        table(entries, tmp_path)


def test_a_cache_that_cannot_be_written_is_named(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StoreError, match=r"cache.*cannot be kept there: .*VEER_CACHE"):
        table(entries, tmp_path)
