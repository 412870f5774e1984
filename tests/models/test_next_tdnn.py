"""The parts of NeXt-TDNN against plain versions, its sizes against the published ones."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from models import NeXtTDNNConfig, build_model, count_parameters
from models.next_tdnn import ConvolutionOverScales, DepthwiseConv, GlobalResponseNorm


@pytest.mark.parametrize("kernel", [3, 9])
def test_each_channel_is_convolved_over_time_by_itself(kernel: int) -> None:
    layer = DepthwiseConv(4, kernel)
    nn.init.normal_(layer.bias)
    x_BTC = torch.randn(2, 11, 4)
    expected_BCT = nn.functional.conv1d(
        x_BTC.transpose(1, 2), layer.weight[:, :, 0], layer.bias, padding=kernel // 2, groups=4
    )
    torch.testing.assert_close(layer(x_BTC), expected_BCT.transpose(1, 2))


def test_half_of_the_channels_have_the_short_kernel() -> None:
    layer = ConvolutionOverScales(8, (3, 9))
    linear = nn.Identity()
    layer.before = layer.after = linear
    x_BTC = torch.randn(2, 11, 8)
    short, long = layer.convs
    assert (short.weight.shape, long.weight.shape) == ((4, 1, 1, 3), (4, 1, 1, 9))
    expected = torch.cat((short(x_BTC[..., :4]), long(x_BTC[..., 4:])), dim=-1)
    torch.testing.assert_close(layer(x_BTC), nn.functional.gelu(expected))


def test_a_channel_is_scaled_by_its_norm_against_the_mean_norm() -> None:
    layer = GlobalResponseNorm(2)
    with torch.no_grad():
        layer.gamma.copy_(torch.tensor([1.0, 2.0]))
        layer.beta.copy_(torch.tensor([0.0, 5.0]))
    # Norms over time 5 and 10: shares 2/3 and 4/3.
    x_BTI = torch.tensor([[[3.0, 0.0], [4.0, 10.0]]])
    expected = torch.tensor([[[5.0, 5.0], [20 / 3, 10 + 80 / 3 + 5]]])
    torch.testing.assert_close(layer(x_BTI), expected)


@pytest.mark.parametrize(
    ("channels", "blocks", "light", "published_m"),
    [(128, 3, True, 1.6), (256, 3, False, 7.1)],
)
def test_sizes_are_those_of_the_paper(
    channels: int, blocks: int, light: bool, published_m: float
) -> None:
    config = NeXtTDNNConfig(channels=channels, num_blocks=blocks, light=light)
    with torch.device("meta"):
        model = build_model(config)
    # The paper rounds down to 0.1M.
    assert 0 <= count_parameters(model) / 1e6 - published_m < 0.1


@pytest.mark.parametrize("name", ["kernel", "short_kernel"])
def test_an_even_kernel_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=r"must be odd, so that .*, got 8"):
        NeXtTDNNConfig.model_validate({name: 8})
