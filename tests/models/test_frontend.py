"""The front end against torchaudio's functions and plain NumPy."""

import numpy as np
import pytest
import torch
import torchaudio.functional as audio

from models.frontend import LogMel, instance_norm


def _wave(num_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, num_samples).astype(np.float32)


def test_log_mels_are_those_of_numpy_and_torchaudios_filter_bank() -> None:
    wave = _wave(16_000)
    emphasised = wave - 0.97 * np.concatenate(([wave[1]], wave[:-1]))
    padded = np.pad(emphasised, 256, mode="reflect")
    window = np.pad(0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400), 56)
    frames = np.stack([padded[i * 160 : i * 160 + 512] * window for i in range(101)])
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    bank = audio.melscale_fbanks(257, 0.0, 8000.0, 80, 16_000).numpy()
    expected = np.log(power @ bank + 1e-6)
    found = LogMel()(torch.from_numpy(wave)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("num_samples", [257, 400, 15_999, 16_000, 16_001, 32_000])
def test_number_of_frames(num_samples: int) -> None:
    feat_BTF = LogMel()(torch.from_numpy(_wave(num_samples))[None])
    assert feat_BTF.shape == (1, 1 + num_samples // 160, 80)


def test_a_crop_of_the_frames_is_the_crop_of_the_waveform_away_from_its_edges() -> None:
    wave = torch.from_numpy(_wave(32_000))[None]
    whole = LogMel()(wave)
    part = LogMel()(wave[:, 50 * 160 :])
    torch.testing.assert_close(whole[:, 53:150], part[:, 3:100], rtol=1e-4, atol=1e-4)


def test_instance_norm_is_pytorchs() -> None:
    feat_BTF = torch.randn(3, 50, 80) * 4 - 7
    expected = torch.nn.InstanceNorm1d(80)(feat_BTF.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(instance_norm(feat_BTF), expected, rtol=1e-4, atol=1e-5)


def test_a_constant_bin_becomes_zero_not_nan() -> None:
    assert instance_norm(torch.full((1, 20, 80), -13.8)).abs().max() < 1e-2


@pytest.mark.parametrize("shape", [(256,), (1, 256), (1, 1, 800)])
def test_waves_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"samples > 256\), got"):
        LogMel()(torch.zeros(shape))


def test_front_end_adds_nothing_to_checkpoints() -> None:
    assert LogMel().state_dict() == {}
