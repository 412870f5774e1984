"""The Mixer and its two variants: what is refused, what the added parts do."""

import pytest
import torch
from torch import nn

from models import (
    MLPMixerAutoencoderConfig,
    MLPMixerConfig,
    MLPMixerHybridConfig,
    build_model,
    count_parameters,
)
from models.frontend import instance_norm
from models.mlp_mixer import MixerConfig
from models.mlp_mixer_hybrid import HybridMixerBlock

KINDS = (MLPMixerConfig, MLPMixerHybridConfig, MLPMixerAutoencoderConfig)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_not_divisible_by_groups_are_refused(kind: type[MixerConfig]) -> None:
    with pytest.raises(ValueError, match="num_frames=202, groups=4"):
        kind(num_frames=202)


@pytest.mark.parametrize("kind", KINDS)
def test_grouped_channels_not_divisible_by_groups_are_refused(kind: type[MixerConfig]) -> None:
    with pytest.raises(ValueError, match="hidden_dim=18, groups=4"):
        kind(hidden_dim=18, group_channel_mixing=True)


def test_the_hybrids_lstm_looks_back_over_the_whole_crop_and_never_ahead() -> None:
    block = HybridMixerBlock(MLPMixerHybridConfig(hidden_dim=8, num_frames=12))
    nn.init.zeros_(block.token_mixing.down.weight)  # so that only the LSTM mixes frames
    x_TBC = torch.randn(12, 1, 8, requires_grad=True)
    block(x_TBC)[6].square().sum().backward()
    reached_T = x_TBC.grad.abs().sum(dim=(1, 2)) > 0
    assert reached_T.tolist() == [True] * 7 + [False] * 5


def test_the_autoencoder_is_the_plain_mixer_outside_training() -> None:
    size = {"hidden_dim": 16, "num_blocks": 2, "num_frames": 40}
    model = build_model(MLPMixerAutoencoderConfig(**size)).eval()
    plain = build_model(MLPMixerConfig(**size)).eval()
    decoder = [name for name in model.state_dict() if name.startswith("decoder.")]
    assert plain.load_state_dict(model.state_dict(), strict=False).unexpected_keys == decoder
    feat_BTF = torch.randn(2, 40, 80)
    assert torch.equal(plain(feat_BTF).embedding_BD, model(feat_BTF).embedding_BD)


def test_the_decoder_learns_to_rebuild_its_input() -> None:
    torch.manual_seed(0)
    size = {"hidden_dim": 32, "num_blocks": 1, "num_frames": 40, "expansion_factor": 2}
    model = build_model(MLPMixerAutoencoderConfig(**size, embedding_dim=64))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    feat_BTF = torch.randn(4, 40, 80)
    for _ in range(100):
        rebuilt_BTF = model(feat_BTF).reconstruction_BTF
        loss = nn.functional.mse_loss(rebuilt_BTF, instance_norm(feat_BTF))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # Without the embedding the mean of the four would be the best: 1 - 1/4.
    assert loss.item() < 0.5


def mixer_block_size(width: int, expansion: int) -> int:
    """Return a block's parameter count by a hand-derived formula, at 200 frames in 4 groups."""
    token = 2 * expansion * 200 * 50 + (expansion + 1) * 200
    channel = 3 * expansion * width * width + (2 * expansion + 1) * width
    return 2 * 2 * width + 4 * width + token + channel


def mixer_size(width: int, depth: int, expansion: int) -> int:
    projection = 3 * 80 * width + 3 * width
    pooling = 2 * width * 128 + 128 + width
    embedding = 2 * width * 512 + 3 * 512
    around = projection + 2 * width + pooling + embedding
    return depth * mixer_block_size(width, expansion) + around


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (MLPMixerConfig(), mixer_size(192, 6, 3)),
        # The notes guess 3.5M and 5.0M; these are 2.72M and 7.37M.
        (MLPMixerConfig(hidden_dim=128, num_blocks=12), mixer_size(128, 12, 3)),
        (
            MLPMixerConfig(hidden_dim=256, num_blocks=8, expansion_factor=4),
            mixer_size(256, 8, 4),
        ),
        # An LSTM: input and state into four gates, two biases; and its norm.
        (
            MLPMixerHybridConfig(),
            mixer_size(192, 6, 3) + 6 * (8 * 192 * 192 + 8 * 192 + 2 * 192),
        ),
        # Embedding to channels, positions, one block, norm, channels to mel bins.
        (
            MLPMixerAutoencoderConfig(),
            mixer_size(192, 6, 3)
            + (512 * 192 + 192 + 200 * 192 + mixer_block_size(192, 3) + 2 * 192 + 192 * 80 + 80),
        ),
    ],
)
def test_sizes_of_the_mixers_follow_the_formula(config: MixerConfig, count: int) -> None:
    assert count_parameters(build_model(config)) == count
