"""Convolution is that of NumPy without delay; generated rooms have the requested values."""

import numpy as np
import pytest

from trainable.audio.reverberation import direct_path, generated_rir, reverberated


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(num_samples)).astype(np.float32)


def impulse(length: int, **taps: float) -> np.ndarray:
    """Return an impulse response with these taps, such as `_3=0.5` at sample 3."""
    rir_R = np.zeros(length, np.float32)
    for sample, value in taps.items():
        rir_R[int(sample[1:])] = value
    return rir_R


@pytest.mark.parametrize("scale", [1.0, 0.01, 5.0])
def test_an_impulse_of_any_size_leaves_the_wave_as_it_is(scale: float) -> None:
    wave_S = noise(1000)
    out_S = reverberated(wave_S, impulse(1, _0=scale), 0)
    assert out_S.dtype == np.float32
    np.testing.assert_allclose(out_S, wave_S, atol=1e-7)


@pytest.mark.parametrize("num_samples", [1, 50, 4000])
def test_the_path_to_the_microphone_adds_no_delay(num_samples: int) -> None:
    wave_S, rir_R = noise(num_samples), impulse(700, _200=0.3)
    out_S = reverberated(wave_S, rir_R, direct_path(rir_R))
    np.testing.assert_allclose(out_S, wave_S, atol=1e-7)


def test_an_echo_follows_the_direct_path_by_its_time_in_the_response() -> None:
    wave_S, rir_R = noise(1000), impulse(400, _100=0.8, _350=0.6)
    out_S = reverberated(wave_S, rir_R, direct_path(rir_R))
    echo_S = np.concatenate([np.zeros(250), wave_S[:750]])
    np.testing.assert_allclose(out_S, 0.8 * wave_S + 0.6 * echo_S, atol=1e-6)


@pytest.mark.parametrize(("num_samples", "num_taps"), [(1000, 1), (999, 320), (200, 800)])
@pytest.mark.parametrize("direct", [0, 17])
def test_convolution_is_numpys_with_unit_energy(
    num_samples: int, num_taps: int, direct: int
) -> None:
    wave_S, rir_R = noise(num_samples), noise(num_taps, seed=1)
    direct = min(direct, num_taps - 1)
    whole = np.convolve(wave_S, rir_R / np.linalg.norm(rir_R))
    out_S = reverberated(wave_S, rir_R, direct)
    assert out_S.shape == wave_S.shape
    np.testing.assert_allclose(out_S, whole[direct : direct + num_samples], atol=1e-6)


def test_inputs_are_left_as_they_are() -> None:
    wave_S, rir_R = noise(100), noise(20, seed=1)
    before = wave_S.copy(), rir_R.copy()
    reverberated(wave_S, rir_R, 3)
    np.testing.assert_array_equal(wave_S, before[0])
    np.testing.assert_array_equal(rir_R, before[1])


def test_the_direct_path_is_the_first_of_the_largest_samples() -> None:
    assert direct_path(impulse(9, _2=0.5, _4=-0.9, _6=0.9)) == 4


@pytest.mark.parametrize("rt60_s", [0.2, 0.5, 0.8])
def test_a_generated_room_decays_by_60_db_in_its_time(rt60_s: float) -> None:
    rir_R = generated_rir(rt60_s, 0, np.random.default_rng(0))
    assert len(rir_R) == pytest.approx(rt60_s * 16_000, abs=2)
    # Schroeder's backward integration; the line through -5 to -35 dB is ISO 3382's T30.
    decay_db = 10 * np.log10(np.cumsum(rir_R[:0:-1].astype(float) ** 2)[::-1])
    decay_db -= decay_db[0]
    part = (decay_db < -5) & (decay_db > -35)
    slope_db_per_s = np.polyfit(np.flatnonzero(part) / 16_000, decay_db[part], 1)[0]
    assert -60 / slope_db_per_s == pytest.approx(rt60_s, rel=0.06)


@pytest.mark.parametrize("ratio_db", [-6.0, 0.0, 12.0])
def test_the_direct_path_stands_above_the_tail_as_asked(ratio_db: float) -> None:
    rir_R = generated_rir(0.4, ratio_db, np.random.default_rng(1))
    assert rir_R.dtype == np.float32
    assert rir_R[0] == 1
    assert -10 * np.log10(np.sum(rir_R[1:] ** 2)) == pytest.approx(ratio_db, abs=1e-3)
