"""Noise to add to speech: its generation, and its gain for a signal-to-noise ratio.

Shapes: S samples at 16 kHz.
"""

from enum import Enum

import numpy as np

from models.frontend import SAMPLE_RATE_HZ
from trainable.audio.reading import SILENCE_DBFS, Wave

FLAT_BELOW_HZ = 50.0
"""Without this floor the lowest bins of brown noise would hold all its power, below speech."""

LEVEL_RANGE_DB = 10.0
LEVEL_STEP_S = 1.0


class NoiseColour(Enum):
    """The exponent of the frequency in the power density of a noise.

    White is flat, pink falls by 3.01 dB an octave, brown by 6.02.
    """

    WHITE = 0
    PINK = -1
    BROWN = -2


def coloured_noise(colour: NoiseColour, num_samples: int, rng: np.random.Generator) -> Wave:
    """Return Gaussian noise whose power density is a power of the frequency, flat below 50 Hz.

    White noise is filtered by its spectrum (Kasdin, "Discrete simulation of colored noise and
    stochastic processes and 1/f^a power law noise generation", Proc. IEEE 83(5), 1995).

    Returns:
        noise_S: Mean power about 1.
    """
    # A power of two, for speed. At least one second is made and not used, since a filter in the
    # spectrum is circular: the end of the noise continues into its start.
    length = 1 << (num_samples + SAMPLE_RATE_HZ - 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(length))
    frequency_hz = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ), FLAT_BELOW_HZ)
    gain = frequency_hz ** (colour.value / 2)
    noise_S = np.fft.irfft(spectrum * (gain / np.sqrt(np.mean(gain**2))), length)
    return noise_S[:num_samples].astype(np.float32)


def slow_level(num_samples: int, rng: np.random.Generator) -> Wave:
    """Return a gain that varies over 10 dB: drawn for every second, linear in dB between.

    Returns:
        gain_S: From 10^-0.5 to 1.
    """
    time_s = np.arange(num_samples) / SAMPLE_RATE_HZ
    num_levels = int(np.ceil(num_samples / SAMPLE_RATE_HZ / LEVEL_STEP_S)) + 1
    level_db = rng.uniform(-LEVEL_RANGE_DB, 0, num_levels)
    gain_db = np.interp(time_s, LEVEL_STEP_S * np.arange(num_levels), level_db)
    return np.asarray(10 ** (gain_db / 20), np.float32)


def generated_noise(num_samples: int, rng: np.random.Generator) -> Wave:
    """Return white, pink or brown noise, equally likely, with a slowly varying level.

    Returns:
        noise_S: Noise of any power; `at_snr` scales it.
    """
    colour = list(NoiseColour)[rng.integers(len(NoiseColour))]
    return coloured_noise(colour, num_samples, rng) * slow_level(num_samples, rng)


def is_silent(wave_S: Wave) -> bool:
    """Return whether all samples are below -60 dBFS: a gain would amplify rounding errors."""
    return not len(wave_S) or float(np.abs(wave_S).max()) < 10 ** (SILENCE_DBFS / 20)


def at_snr(sound_S: Wave, wave_S: Wave, snr_db: float) -> Wave:
    """Scale a sound so that adding it to an utterance gives a signal-to-noise ratio.

    The ratio is that of the mean powers over the whole utterance. voxceleb_trainer adds 1e-4 to
    both before it divides, so that its ratios are wrong where either is below about -30 dBFS; here
    they are exact.

    Args:
        sound_S: Sound of the same length as the utterance.
        wave_S: The utterance.
        snr_db: Power of the utterance over that of the sound, dB.

    Returns:
        sound_S: The scaled sound; all zero if the sound is.
    """
    sound_power = _mean_power(sound_S)
    if not sound_power:
        return np.zeros_like(sound_S)
    # 20 and not 10: decibels of power, applied to samples.
    gain = np.sqrt(_mean_power(wave_S) / sound_power) * 10 ** (-snr_db / 20)
    return sound_S * np.float32(gain)


def _mean_power(wave_S: Wave) -> float:
    # In float64, since squares of quiet samples lose digits in a float32 sum.
    return float(np.mean(np.square(wave_S, dtype=np.float64)))
