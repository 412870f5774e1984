"""Crops of a waveform that start on the frames of its log-mels."""

import numpy as np
import pytest
import torch

from models import LogMel
from trainable.verification.crops import frame_crops, wave_crops_on_frames


@pytest.mark.parametrize("num_samples", [32_000, 50_123])
def test_only_the_edges_differ_from_crops_of_the_log_mels(num_samples: int) -> None:
    wave = np.random.default_rng(0).standard_normal(num_samples).astype(np.float32)
    log_mel = LogMel()
    want_CTF = frame_crops(log_mel, wave, 150, 7)
    got_CTF = log_mel(torch.from_numpy(wave_crops_on_frames(wave, 150, 7)))
    assert got_CTF.shape == want_CTF.shape
    inside = slice(2, -2)  # a window of 400 samples reaches over less than two hops
    assert torch.allclose(got_CTF[:, inside], want_CTF[:, inside], atol=1e-3)
    assert not torch.allclose(got_CTF, want_CTF, atol=1e-3)


def test_a_short_wave_is_repeated() -> None:
    wave = np.arange(800, dtype=np.float32)
    crops = wave_crops_on_frames(wave, 11, 3)
    assert crops.shape == (3, 1600)
    assert (crops == np.tile(wave, 2)).all()
