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
    [(b"", "cannot be read"), (b"no audio at all", "cannot be read"), (None, "cannot be read")],
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


def test_other_formats_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.ogg", noise(16_000), 16_000)
    with pytest.raises(AudioError, match=r"a\.ogg: must be WAV or FLAC, got OGG"):
        load_wave(tmp_path / "a.ogg")


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
