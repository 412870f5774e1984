"""Generated noise has the spectrum of its colour; sounds reach the requested ratio."""

import numpy as np
import pytest
import scipy.signal

from trainable.audio.noise import (
    LEVEL_RANGE_DB,
    NoiseColour,
    at_snr,
    coloured_noise,
    generated_noise,
    is_silent,
    slow_level,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def slope(noise_S: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Return the exponent of the frequency in Welch's estimate of the power density."""
    frequency_hz, density = scipy.signal.welch(noise_S, 16_000, nperseg=4096)
    band = (frequency_hz > low_hz) & (frequency_hz < high_hz)
    return float(np.polyfit(np.log(frequency_hz[band]), np.log(density[band]), 1)[0])


@pytest.mark.parametrize(
    ("colour", "exponent"),
    [(NoiseColour.WHITE, 0.0), (NoiseColour.PINK, -1.0), (NoiseColour.BROWN, -2.0)],
)
def test_power_density_falls_by_the_exponent_of_the_colour(
    colour: NoiseColour, exponent: float
) -> None:
    noise_S = coloured_noise(colour, 500_000, rng())
    assert slope(noise_S, 100, 7000) == pytest.approx(exponent, abs=0.05)


@pytest.mark.parametrize("colour", list(NoiseColour))
def test_noise_has_unit_power_its_type_and_its_length(colour: NoiseColour) -> None:
    noise_S = coloured_noise(colour, 300_001, rng())
    assert noise_S.dtype == np.float32
    assert noise_S.shape == (300_001,)
    assert np.mean(noise_S**2) == pytest.approx(1, abs=0.15)


def test_brown_noise_is_flat_below_50_hz() -> None:
    noise_S = coloured_noise(NoiseColour.BROWN, 2_000_000, rng())
    frequency_hz, density = scipy.signal.welch(noise_S, 16_000, nperseg=16_384)
    low = density[(frequency_hz > 5) & (frequency_hz < 20)].mean()
    high = density[(frequency_hz > 30) & (frequency_hz < 45)].mean()
    assert 10 * np.log10(low / high) == pytest.approx(0, abs=0.7)


@pytest.mark.parametrize("num_samples", [1, 2, 15_999, 16_000, 16_001, 100_000])
def test_level_varies_within_its_range_without_jumps(num_samples: int) -> None:
    gain_S = slow_level(num_samples, rng())
    gain_db = 20 * np.log10(gain_S)
    assert gain_S.shape == (num_samples,)
    assert gain_S.dtype == np.float32
    assert -LEVEL_RANGE_DB - 1e-3 <= gain_db.min() <= gain_db.max() <= 1e-3
    assert num_samples == 1 or np.abs(np.diff(gain_db)).max() < 1.01 * LEVEL_RANGE_DB / 16_000


def test_all_colours_are_generated() -> None:
    slopes = [slope(generated_noise(64_000, rng(seed)), 200, 6000) for seed in range(30)]
    assert {round(each) for each in slopes} == {0, -1, -2}


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 7.5, 20.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_ratio_of_mean_powers_is_the_requested_one(snr_db: float, scale: float) -> None:
    wave_S = (0.1 * scale * rng(1).standard_normal(50_000)).astype(np.float32)
    sound_S = rng(2).uniform(-1, 1, 50_000).astype(np.float32)
    added_S = at_snr(sound_S, wave_S, snr_db)
    ratio_db = 20 * np.log10(np.linalg.norm(wave_S) / np.linalg.norm(added_S))
    assert added_S.dtype == np.float32
    assert ratio_db == pytest.approx(snr_db, abs=1e-4)
    np.testing.assert_allclose(np.corrcoef(added_S, sound_S)[0, 1], 1)


def test_silence_adds_nothing_and_nothing_is_added_to_silence() -> None:
    silence_S = np.zeros(100, np.float32)
    noise_S = np.ones(100, np.float32)
    assert not at_snr(silence_S, noise_S, 5).any()
    assert not at_snr(noise_S, silence_S, 5).any()


@pytest.mark.parametrize(("peak", "silent"), [(0.0, True), (0.99e-3, True), (-1.01e-3, False)])
def test_below_minus_60_dbfs_is_silence(peak: float, silent: bool) -> None:
    wave_S = np.zeros(10, np.float32)
    wave_S[3] = peak
    assert is_silent(wave_S) is silent
