"""The Mixer of any length: its convolution against PyTorch's, its size, odd kernels only."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from models import MLPMixerConfig, MLPMixerFreeConfig, build_model, count_parameters
from models.mlp_mixer_free import FreeMixerBlock, TimeConv


@pytest.mark.parametrize("kernel", [3, 9])
def test_each_channel_is_convolved_over_time_by_itself(kernel: int) -> None:
    layer = TimeConv(4, kernel)
    x_TBC = torch.randn(11, 2, 4)
    expected_BCT = nn.functional.conv1d(
        x_TBC.permute(1, 2, 0), layer.weight[..., 0], layer.bias, padding=kernel // 2, groups=4
    )
    torch.testing.assert_close(layer(x_TBC), expected_BCT.permute(2, 0, 1))


def test_a_block_adds_both_mixings() -> None:
    block = FreeMixerBlock(MLPMixerFreeConfig(hidden_dim=8, num_blocks=1, kernel=5))
    x_TBC = torch.randn(12, 2, 8)
    mixed = x_TBC + block.down(nn.functional.gelu(block.up(block.token_norm(x_TBC))))
    first, second = block.channel_mixing.up(block.channel_norm(mixed)).chunk(2, dim=-1)
    expected = mixed + block.channel_mixing.down(torch.maximum(first, second))
    torch.testing.assert_close(block(x_TBC), expected)


def test_it_is_smaller_than_the_notes_mixer_of_the_same_width() -> None:
    sizes = [count_parameters(build_model(c)) for c in (MLPMixerFreeConfig(), MLPMixerConfig())]
    assert sizes[0] == pytest.approx(2.42e6, rel=0.01)
    # 6 blocks: two matrices of 50 x 150 in 4 groups with 800 biases and the ID convolution of
    # 3 x 192 + 192, against two kernels of 51 x 192 + 192.
    matrices = 2 * 4 * 50 * 150 + 800 + 4 * 192
    assert sizes[1] - sizes[0] == 6 * (matrices - 2 * 52 * 192)


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"must be odd, so that .*, got 8"):
        MLPMixerFreeConfig(kernel=8)
