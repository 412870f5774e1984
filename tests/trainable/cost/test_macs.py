"""Multiply-accumulates against numbers worked by hand."""

import pytest
import torch
from torch import nn

from models import LSTMAutoencoderConfig, MLPMixerConfig, MLPMixerHybridConfig, build_model
from trainable.cost.macs import count_macs

FRAMES = 200


@pytest.mark.parametrize(
    ("model", "shape", "macs"),
    [
        (nn.Linear(192, 512), (1, 192), 192 * 512),
        (nn.Linear(192, 512), (8, 192), 8 * 192 * 512),
        (nn.Conv1d(80, 192, 3, padding=1), (1, 80, FRAMES), FRAMES * 192 * 80 * 3),
        (nn.Conv1d(80, 192, 3, padding=1, groups=4), (1, 80, FRAMES), FRAMES * 192 * 20 * 3),
        # Four gates, each of input and state.
        (nn.LSTM(80, 400), (FRAMES, 1, 80), FRAMES * 4 * 400 * (80 + 400)),
        (
            nn.LSTM(80, 400, num_layers=2, bidirectional=True),
            (FRAMES, 1, 80),
            FRAMES * 2 * 4 * 400 * ((80 + 400) + (800 + 400)),
        ),
        (nn.LayerNorm(192), (1, 192), 0),
    ],
)
def test_layers_count_as_in_the_formula(
    model: nn.Module, shape: tuple[int, ...], macs: int
) -> None:
    assert count_macs(model, shape) == macs


def test_the_teacher_counts_its_lstm_layers_and_what_follows() -> None:
    config = LSTMAutoencoderConfig(hidden_dim=400, num_layers=3, bottleneck_dim=256)
    lstm = 4 * 400 * ((80 + 400) + 2 * (400 + 400))
    channels = 3 * 400 + 256
    attention = 2 * channels * 64
    expected = FRAMES * (lstm + 400 * 256 + attention) + 2 * channels * 512
    assert count_macs(build_model(config).eval(), (1, FRAMES, 80)) == expected


def test_the_student_counts_both_mixings_of_every_block() -> None:
    token = 2 * 3 * FRAMES * FRAMES // 4 * 192  # up and down, in 4 groups, for 192 channels
    channel = FRAMES * (192 * 2 * 576 + 576 * 192)
    attention = FRAMES * 2 * 192 * 128
    expected = FRAMES * 3 * 80 * 192 + 6 * (token + channel) + attention + 384 * 512
    counted = count_macs(build_model(MLPMixerConfig()).eval(), (1, FRAMES, 80))
    assert counted == expected


def test_the_hybrid_adds_an_lstm_a_block() -> None:
    shape = (1, FRAMES, 80)
    plain = count_macs(build_model(MLPMixerConfig()).eval(), shape)
    hybrid = count_macs(build_model(MLPMixerHybridConfig()).eval(), shape)
    assert hybrid - plain == 6 * FRAMES * 4 * 192 * (192 + 192)


def test_twice_the_batch_is_twice_the_work() -> None:
    model = build_model(LSTMAutoencoderConfig(hidden_dim=16)).eval()
    assert count_macs(model, (2, 30, 80)) == 2 * count_macs(model, (1, 30, 80))


def test_a_longer_utterance_costs_a_student_whole_windows() -> None:
    model = build_model(MLPMixerConfig(hidden_dim=16, num_blocks=1, num_frames=40)).eval()
    one = count_macs(model, (1, 40, 80))
    assert count_macs(model, (1, 100, 80), method="embed") == 3 * one


def test_the_model_stays_as_it_is() -> None:
    model = build_model(MLPMixerConfig(hidden_dim=16, num_blocks=1, num_frames=40)).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_macs(model, (1, 40, 80))
    assert not model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
