"""Folders of sounds: which files are listed or refused, and which parts of them are read."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile

from spaces.files.errors import ConfigError
from trainable.audio.reading import AudioError
from trainable.audio.sound_folders import SoundFolder, list_sounds


def write(path: Path, wave: np.ndarray, rate_hz: int = 16_000, subtype: str = "FLOAT") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate_hz, subtype)
    return path


def ramp(num_samples: int) -> np.ndarray:
    """Make a wave whose samples are their own positions."""
    return np.arange(num_samples, dtype=np.float32) / num_samples


def one_file(folder: Path, wave: np.ndarray, rate_hz: int = 16_000) -> SoundFolder:
    write(folder / "a.wav", wave, rate_hz)
    return list_sounds("musan_dir", folder)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_files_of_any_depth_are_listed_by_name_with_their_headers(tmp_path: Path) -> None:
    write(tmp_path / "b" / "c" / "z.wav", ramp(8000), 8000)
    write(tmp_path / "b" / "Y.FLAC", ramp(100), subtype="PCM_16")
    write(tmp_path / "a.wav", ramp(10))
    write(tmp_path / "b" / "._Y.wav", ramp(10))
    write(tmp_path / ".trash" / "a.wav", ramp(10))
    (tmp_path / "README").write_text("read me")
    found = list_sounds("musan_dir", tmp_path).files
    assert [file.name for file in found] == ["a.wav", "b/Y.FLAC", "b/c/z.wav"]
    deep = found[2]
    assert (deep.num_samples, deep.rate_hz, deep.duration_s) == (8000, 8000, 1.0)
    stat = (tmp_path / "b" / "c" / "z.wav").stat()
    assert (deep.size_bytes, deep.changed_ns) == (stat.st_size, stat.st_mtime_ns)


def test_links_are_followed_and_a_link_that_leads_back_is_not(tmp_path: Path) -> None:
    write(tmp_path / "disk" / "a.wav", ramp(10))
    folder = tmp_path / "sounds"
    folder.mkdir()
    (folder / "noise").symlink_to(tmp_path / "disk")
    (folder / "again").symlink_to(folder)
    assert [file.name for file in list_sounds("musan_dir", folder).files] == ["noise/a.wav"]


def test_a_missing_folder_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "musan").mkdir()
    text = f"musan_dir: there is no folder {tmp_path}/muzan; did you mean {tmp_path}/musan?"
    with pytest.raises(ConfigError, match=re.escape(text)):
        list_sounds("musan_dir", tmp_path / "muzan")
    text = f"rir_dir: there is no folder {tmp_path}/no/where; name one that is there"
    with pytest.raises(ConfigError, match=re.escape(text)):
        list_sounds("rir_dir", tmp_path / "no" / "where")


def test_a_folder_without_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no audio")
    text = (
        f"rir_dir: {tmp_path} must hold WAV or FLAC files at some depth, got none; "
        "name the folder that does, or leave rir_dir out"
    )
    with pytest.raises(ConfigError, match=re.escape(text)):
        list_sounds("rir_dir", tmp_path)


def test_faulty_files_are_named_together(tmp_path: Path) -> None:
    write(tmp_path / "good.wav", ramp(10))
    write(tmp_path / "empty.wav", ramp(0))
    soundfile.write(tmp_path / "vorbis.wav", ramp(999), 16_000, format="OGG")
    for number in range(4):
        (tmp_path / f"text{number}.wav").write_text("no audio")
    with pytest.raises(ConfigError) as caught:
        list_sounds("musan_dir", tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"musan_dir: {tmp_path}/empty.wav: must hold samples, got 0"
    assert lines[1].startswith(f"musan_dir: {tmp_path}/text0.wav: cannot be read as WAV, ")
    assert lines[5:] == [
        "... and 1 more",
        "repair or remove these files, or name another folder",
    ]
    (tmp_path / "empty.wav").unlink()
    for number in range(4):
        (tmp_path / f"text{number}.wav").unlink()
    with pytest.raises(ConfigError, match=r"vorbis\.wav: must be WAV, FLAC, AIFF or W64, got OGG"):
        list_sounds("musan_dir", tmp_path)


def test_a_folder_that_may_not_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.wav", ramp(10))
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        # As the system would; the tests may run as root, who may list every folder.
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    text = f"musan_dir: {tmp_path}/locked cannot be listed: Permission denied; make it readable"
    with pytest.raises(ConfigError, match=re.escape(text)):
        list_sounds("musan_dir", tmp_path)


def test_a_part_of_a_long_file_is_a_random_part_of_it(tmp_path: Path) -> None:
    folder = one_file(tmp_path, ramp(1000))
    firsts = set()
    for seed in range(300):
        part_S = folder.random_part(folder.files[0], 990, rng(seed))
        first = round(float(part_S[0]) * 1000)
        np.testing.assert_array_equal(part_S, ramp(1000)[first : first + 990])
        firsts.add(first)
    assert firsts == set(range(11))


def test_only_the_part_of_a_long_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = one_file(tmp_path, ramp(100_000))
    asked = []
    whole_read = soundfile.read

    def read(path: Path, frames: int, start: int, **options: object) -> object:
        asked.append(frames)
        return whole_read(path, frames, start, **options)

    monkeypatch.setattr(soundfile, "read", read)
    monkeypatch.delattr("trainable.audio.sound_folders.load_wave")
    folder.random_part(folder.files[0], 500, rng())
    assert asked == [500]


@pytest.mark.parametrize("num_samples", [100, 101, 1050])
def test_a_short_file_is_repeated(tmp_path: Path, num_samples: int) -> None:
    folder = one_file(tmp_path, ramp(100))
    part_S = folder.random_part(folder.files[0], num_samples, rng())
    first = round(float(part_S[0]) * 100)
    assert part_S.dtype == np.float32
    np.testing.assert_array_equal(part_S, ramp(100)[(first + np.arange(num_samples)) % 100])


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_a_part_of_another_rate_is_resampled_to_its_length(tmp_path: Path, rate_hz: int) -> None:
    time_s = np.arange(3 * rate_hz) / rate_hz
    folder = one_file(tmp_path, 0.5 * np.sin(2 * np.pi * 440 * time_s), rate_hz)
    for num_samples in (7_999, 16_000, 60_000):
        part_S = folder.random_part(folder.files[0], num_samples, rng())
        assert part_S.shape == (num_samples,)
    frequency_hz, density = scipy.signal.welch(
        folder.random_part(folder.files[0], 16_000, rng()), 16_000, nperseg=8000
    )
    assert frequency_hz[density.argmax()] == 440


def test_channels_of_a_part_are_averaged(tmp_path: Path) -> None:
    folder = one_file(tmp_path, np.stack([ramp(1000), 3 * ramp(1000)], axis=1) / 4)
    part_S = folder.random_part(folder.files[0], 10, rng())
    np.testing.assert_allclose(np.diff(part_S), 0.5 / 1000, rtol=1e-3)


@pytest.mark.parametrize("num_samples", [10, 200])
def test_broken_samples_are_a_fault_with_the_key(tmp_path: Path, num_samples: int) -> None:
    wave = np.full(100, np.nan, np.float32)
    folder = one_file(tmp_path, wave)
    text = (
        rf"a\.wav: must hold finite samples, got {min(num_samples, 100)} NaN or infinite ones; "
        "remove the file from musan_dir"
    )
    with pytest.raises(AudioError, match=text):
        folder.random_part(folder.files[0], num_samples, rng())


def test_a_file_that_changed_since_it_was_listed_is_a_fault(tmp_path: Path) -> None:
    folder = one_file(tmp_path, ramp(1000))
    write(tmp_path / "a.wav", ramp(300))
    text = r"a\.wav: is cut short: must have 990 samples from (\d|10) on, got (29\d|300)"
    with pytest.raises(AudioError, match=text):
        folder.random_part(folder.files[0], 990, rng())
    (tmp_path / "a.wav").unlink()
    with pytest.raises(AudioError, match=r"a\.wav: cannot be read as WAV, FLAC, AIFF or W64"):
        folder.random_part(folder.files[0], 290, rng())


def test_files_are_drawn_once_each_unless_there_are_too_few(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"{number}.wav", ramp(10))
    folder = list_sounds("musan_dir", tmp_path)
    for seed in range(20):
        drawn = folder.draw(rng(seed), 5)
        assert sorted(file.name for file in drawn) == [f"{number}.wav" for number in range(5)]
        assert len(folder.draw(rng(seed), 7)) == 7
    assert {folder.draw(rng(seed))[0].name for seed in range(60)} == {
        file.name for file in folder.files
    }
