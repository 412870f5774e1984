"""The parts of ECAPA-TDNN against plain versions."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from models import ECAPATDNNConfig, build_model
from models.ecapa_tdnn import Res2Conv
from models.squeeze_excitation import SqueezeExcitation


def test_res2_keeps_the_first_eighth_and_feeds_each_next_one() -> None:
    layer = Res2Conv(16, dilation=2).eval()
    x_BCT = torch.randn(2, 16, 20)
    expected = [x_BCT[:, :2]]
    for i, (conv, relu, norm) in enumerate(layer.convs, 1):
        assert (conv.kernel_size, conv.dilation) == ((3,), (2,))
        part = x_BCT[:, 2 * i : 2 * i + 2] + (expected[-1] if i > 1 else 0)
        expected.append(norm(relu(conv(part))))
    torch.testing.assert_close(layer(x_BCT), torch.cat(expected, dim=1))


def test_a_block_sees_the_sum_of_all_before_it() -> None:
    model = build_model(ECAPATDNNConfig(channels=16, aggregation_dim=16)).eval()
    for block in model.blocks:  # shut gates: each block gives its input
        nn.init.zeros_(block[-1].gate[2].weight)
        nn.init.constant_(block[-1].gate[2].bias, -1e9)
    one, two, three, _ = model(torch.randn(2, 30, 80), with_stages=True).stages
    torch.testing.assert_close(two, 2 * one)
    torch.testing.assert_close(three, 4 * one)


@pytest.mark.parametrize("shape", [(2, 8, 9), (2, 8, 5, 7)])
def test_channel_gates_are_pooling_and_pointwise_convolutions(shape: tuple[int, ...]) -> None:
    layer = SqueezeExcitation(8, 3)
    x = torch.randn(shape)
    mean = x.mean(dim=tuple(range(2, x.ndim)), keepdim=True).flatten(2)
    squeezed = nn.functional.conv1d(mean, layer.gate[0].weight[:, :, None], layer.gate[0].bias)
    gate = nn.functional.conv1d(
        squeezed.relu(), layer.gate[2].weight[:, :, None], layer.gate[2].bias
    ).sigmoid()
    torch.testing.assert_close(layer(x), x * gate.reshape(2, 8, *[1] * (x.ndim - 2)))


def test_channels_not_divisible_by_the_scale_are_refused() -> None:
    with pytest.raises(ValidationError, match="multiple of 8"):
        ECAPATDNNConfig(channels=500)
