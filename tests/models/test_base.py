"""Crops of any length through a model of fixed length."""

import pytest
import torch

from models import MLPMixerConfig, SpeakerModel, build_model
from models.base import window_indices


@pytest.fixture
def model() -> SpeakerModel:
    return build_model(MLPMixerConfig(hidden_dim=16, num_blocks=1, num_frames=40)).eval()


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (4, [[0, 1, 2, 3]]),
        (3, [[0, 1, 2, 0]]),
        (1, [[0, 0, 0, 0]]),
        (5, [[0, 1, 2, 3], [1, 2, 3, 4]]),
        (8, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (9, [[0, 1, 2, 3], [2, 3, 4, 5], [5, 6, 7, 8]]),
    ],
)
def test_windows_cover_the_crop(length: int, expected: list[list[int]]) -> None:
    assert window_indices(length, 4).tolist() == expected


def test_windows_of_a_long_crop_are_averaged(model: SpeakerModel) -> None:
    feat_BTF = torch.randn(1, 80, 80)
    halves = (model.embed(feat_BTF[:, :40]) + model.embed(feat_BTF[:, 40:])) / 2
    torch.testing.assert_close(model.embed(feat_BTF), halves)


def test_another_length_is_refused_and_the_way_out_named(model: SpeakerModel) -> None:
    with pytest.raises(ValueError, match=r"crops of 40 frames, got 41; use embed\(\)"):
        model(torch.randn(1, 41, 80))
