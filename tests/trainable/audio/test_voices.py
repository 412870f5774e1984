"""Speech whose pitch and spectrum show that a header has twice or half the right sample rate."""

from dataclasses import replace

import numpy as np
import pytest

from trainable.audio.reading import Wave, resampled
from trainable.audio.voices import doubted_list, doubted_rates, voice_of

RATE_HZ = 16_000


def spoken(pitch_hz: float, seed: int) -> Wave:
    """A second of harmonics below three formants, with a little noise."""
    rng = np.random.default_rng(seed)
    time_S = np.arange(RATE_HZ) / RATE_HZ
    pitch_S = pitch_hz * (1 + 0.03 * np.sin(2 * np.pi * (3 * time_S + rng.uniform())))
    phase_S = 2 * np.pi * np.cumsum(pitch_S) / RATE_HZ
    wave_S = 0.001 * rng.normal(size=RATE_HZ)
    for number in range(1, int(7000 / pitch_hz)):
        hertz = number * pitch_hz
        formants = ((500, 1.0), (1500, 0.4), (2500, 0.2))
        level = sum(gain * np.exp(-(((hertz - f) / 200) ** 2)) for f, gain in formants)
        wave_S += (level + 0.01) * np.sin(number * phase_S)
    return (0.1 * wave_S).astype(np.float32)


@pytest.mark.parametrize("pitch_hz", [90, 120, 180, 240])
def test_pitch_is_that_of_the_harmonics(pitch_hz: float) -> None:
    voice = voice_of(spoken(pitch_hz, 0))
    assert voice is not None
    assert voice.pitch_hz == pytest.approx(pitch_hz, rel=0.05)


def test_noise_and_a_moment_of_speech_have_no_voice() -> None:
    assert voice_of(np.random.default_rng(0).normal(size=RATE_HZ).astype(np.float32)) is None
    assert voice_of(spoken(120, 0)[:4000]) is None
    assert voice_of(np.zeros(RATE_HZ, np.float32)) is None


@pytest.mark.parametrize("header_hz", [8_000, 32_000])
def test_a_file_with_a_wrong_rate_is_an_octave_off_its_speaker(header_hz: int) -> None:
    waves = [spoken(130 + 4 * seed, seed) for seed in range(6)]
    right = [voice_of(wave) for wave in waves]
    assert doubted_rates(right) == []
    # The samples are those of 16 kHz; the header says otherwise.
    wrong = [*right[:4], voice_of(resampled(waves[4], header_hz)), right[5]]
    ((place, usual_hz),) = doubted_rates(wrong)
    assert place == 4
    assert usual_hz == pytest.approx(138, rel=0.1)
    # Too few files to know what is usual.
    assert doubted_rates(wrong[2:]) == []


def test_an_estimate_of_the_pitch_that_errs_by_an_octave_is_no_doubt() -> None:
    voices = [voice_of(spoken(pitch_hz, 0)) for pitch_hz in (120, 122, 125, 118, 121, 123)]
    assert voices[5] is not None
    for factor in (0.5, 2.0):
        erring = replace(voices[5], pitch_hz=factor * voices[5].pitch_hz)
        assert doubted_rates([*voices[:5], erring]) == []


def test_a_list_of_whom_half_are_too_high_or_too_low_is_doubted() -> None:
    pitches = np.linspace(100, 230, 24)
    usual = [voice_of(spoken(pitch_hz, 0)) for pitch_hz in pitches]
    assert doubted_list(usual) is None
    doubled = [voice_of(resampled(spoken(pitch_hz, 0), 32_000)) for pitch_hz in pitches]
    median_hz = doubted_list(doubled)
    assert median_hz == pytest.approx(330, rel=0.1)
    assert doubted_list(doubled[:19]) is None
