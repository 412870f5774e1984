import re
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile

from trainable.audio.reading import AudioEntry, AudioError, check_wave, load_wave
from trainable.audio.scan import scan_audio

RNG = np.random.default_rng(0)


def noise(num_samples: int) -> np.ndarray:
    return np.clip(RNG.normal(scale=0.1, size=num_samples), -0.9, 0.9).astype(np.float32)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_samples_survive_16_bit_files(tmp_path: Path, suffix: str) -> None:
    wave = noise(8000)
    soundfile.write(tmp_path / f"a.{suffix}", wave, 16_000, "PCM_16")
    loaded = load_wave(tmp_path / f"a.{suffix}")
    assert loaded.dtype == np.float32
    assert loaded.shape == (8000,)
    np.testing.assert_allclose(loaded, wave, atol=1.01 / 2**15)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = noise(4000), noise(4000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000, "FLOAT")
    np.testing.assert_allclose(load_wave(tmp_path / "a.wav"), (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled_as_scipy_does(tmp_path: Path, rate_hz: int) -> None:
    time_s = np.arange(rate_hz) / rate_hz
    wave = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(tmp_path / "a.wav", wave, rate_hz, "FLOAT")
    loaded = load_wave(tmp_path / "a.wav")
    expected = scipy.signal.resample(wave, 16_000)
    assert len(loaded) == 16_000
    # The ends are left out: scipy's method takes the wave to be periodic.
    np.testing.assert_allclose(loaded[500:-500], expected[500:-500], atol=2e-3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b"no audio at all", "cannot be read"), (None, "cannot be read")],
)
def test_unreadable_file_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioError, match=rf"a\.wav: {reason}"):
        load_wave(tmp_path / "a.wav")


def test_flac_cut_short_is_a_fault(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", noise(32_000), 16_000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=r"a\.flac: (is cut short|cannot be read)"):
        load_wave(tmp_path / "a.flac")


@pytest.mark.parametrize(("name", "form"), [("a.ogg", "OGG"), ("a.mp3", "MP3"), ("a.au", "AU")])
def test_other_formats_are_refused_with_the_command_that_converts(
    tmp_path: Path, name: str, form: str
) -> None:
    file = tmp_path / name
    soundfile.write(file, noise(16_000), 16_000)
    with pytest.raises(AudioError, match=f"must be WAV, FLAC, AIFF or W64, got {form}; ") as fault:
        load_wave(file)
    command = f"convert it with: ffmpeg -i {file} -ac 1 -ar 16000 {tmp_path}/a.wav"
    assert str(fault.value).endswith(command)
    assert fault.value.kind == form


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.wav", b"", r"is empty \(0 bytes\); copy it anew"),
        ("a.wav", b"\0" * 99, "got bytes that are all 0, as an interrupted copy"),
        ("a.wav", b"<!DOCTYPE html><html>", "got an HTML or XML page, as a failed download"),
        ("a.wav", b"version https://git-lfs.github.com/spec/v1", "audio with: git lfs pull"),
        ("a.m4a", b"\0\0\0\x1cftypM4A ", "got M4A or MP4; convert it with: ffmpeg -i "),
        ("a.wav", b"ID3\3", "got MP3; convert it with: ffmpeg -i .*/a.wav .*/a_new.wav$"),
        ("a.raw", b"\1\2" * 99, "got audio without a header; .*: ffmpeg -f s16le -ar 16000 -i "),
        ("a.wav", b"abcd", "a.wav: cannot be read as WAV, FLAC, AIFF or W64: Format not"),
    ],
)
def test_a_file_that_is_no_audio_is_named_by_what_it_is(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=message):
        load_wave(tmp_path / name)


def test_a_flac_file_that_is_cut_short_has_the_samples_of_both(tmp_path: Path) -> None:
    file = tmp_path / "a.flac"
    soundfile.write(file, noise(32_000), 16_000)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match="must have 32,000 samples by its header, got 1") as fault:
        load_wave(file)
    found = re.search(r"got ([0-9,]+) up to the fault; copy it anew", str(fault.value))
    assert found is not None
    # Half of the bytes, up to a block of 4,096 samples.
    assert abs(int(found[1].replace(",", "")) - 16_000) <= 4_096


def test_files_of_one_other_format_are_one_fault(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.ogg" for number in range(3)]
    for file in files:
        soundfile.write(file, noise(16_000), 16_000)
    entries = [AudioEntry(path=file, listed_at=f"list:{n}") for n, file in enumerate(files, 1)]
    (fault,) = scan_audio(entries, min_duration_s=0.5).faults
    which = f"{files[0]} (one of 3 such files)"
    assert fault.startswith(f"list:1: {which}: must be WAV, FLAC, AIFF or W64, got OGG; convert")


def with_sample(value: float) -> np.ndarray:
    wave = noise(16_000)
    wave[7] = value
    return wave


@pytest.mark.parametrize(
    ("wave", "fault"),
    [
        (noise(16_000), None),
        (noise(8_000), None),
        (noise(7_999), "must last at least 0.5 s, got 0.4999 s"),
        (noise(0), "must last at least 0.5 s, got 0.0000 s"),
        (with_sample(np.nan), "must hold finite samples, got 1 NaN or infinite ones"),
        (with_sample(-np.inf), "must hold finite samples, got 1 NaN or infinite ones"),
        (np.zeros(16_000, np.float32), "must be louder than -60 dBFS .*, got digital silence"),
        (noise(16_000) * np.float32(1e-4), "must be louder than -60 dBFS .*, got -8. dBFS"),
    ],
)
def test_waves_that_cannot_be_used_are_found(wave: np.ndarray, fault: str | None) -> None:
    found = check_wave(wave, 0.5)
    assert found is None if fault is None else re.fullmatch(fault, found or "")


def test_empty_wave_is_too_short_whatever_the_minimum() -> None:
    assert check_wave(noise(0), 0.0) == "must last at least 0 s, got 0.0000 s"


def test_scan_finds_all_faults_in_order(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", noise(16_000), 16_000)
    soundfile.write(tmp_path / "short.wav", noise(1_600), 16_000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    entries = [
        AudioEntry(path=tmp_path / f"{name}.wav", listed_at=f"list.txt:{line}")
        for line, name in enumerate(("broken", "good", "short"), 1)
    ]
    reports: list[tuple[int, int]] = []
    scan = scan_audio(
        entries, min_duration_s=0.5, progress=lambda done, total: reports.append((done, total))
    )
    assert scan.durations_s == (0.0, 1.0, 0.1)
    assert reports == [(1, 3), (2, 3), (3, 3)]
    broken, short = scan.faults
    assert broken.startswith(f"list.txt:1: {tmp_path}/broken.wav: cannot be read")
    assert short == (f"list.txt:3: {tmp_path}/short.wav: must last at least 0.5 s, got 0.1000 s")
