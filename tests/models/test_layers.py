"""Each block against PyTorch's own layer in another layout."""

import pytest
import torch
from torch import nn

from models.layers import GroupedLinear, GroupedTokenLinear, IDConv, MaxFeatureMap
from models.pooling import AttentiveStatisticsPooling, FrameAttentivePooling


def test_id_convolution_is_a_depthwise_convolution_plus_its_input() -> None:
    layer = IDConv(6)
    conv = nn.Conv1d(6, 6, 3, padding=1, groups=6)
    conv.weight.data = layer.weight.data.T[:, None]
    conv.bias.data = layer.bias.data
    x_TBC = torch.randn(9, 2, 6)
    x_BCT = x_TBC.permute(1, 2, 0)
    torch.testing.assert_close(layer(x_TBC), (conv(x_BCT) + x_BCT).permute(2, 0, 1))


def test_grouped_token_linear_is_a_grouped_convolution_over_frames() -> None:
    layer = GroupedTokenLinear(12, 24, 4)
    conv = nn.Conv1d(12, 24, 1, groups=4)
    conv.weight.data = layer.weight.data.reshape(24, 3, 1)
    conv.bias.data = layer.bias.data
    x_TBC = torch.randn(12, 3, 5)
    torch.testing.assert_close(layer(x_TBC), conv(x_TBC.transpose(0, 1)).transpose(0, 1))


def test_grouped_linear_is_a_grouped_convolution_over_channels() -> None:
    layer = GroupedLinear(8, 12, 4)
    conv = nn.Conv1d(8, 12, 1, groups=4)
    conv.weight.data = layer.weight.data.transpose(1, 2).reshape(12, 2, 1)
    conv.bias.data = layer.bias.data
    x_TBC = torch.randn(7, 3, 8)
    torch.testing.assert_close(layer(x_TBC), conv(x_TBC.permute(1, 2, 0)).permute(2, 0, 1))


def test_max_feature_map_takes_the_larger_half() -> None:
    assert MaxFeatureMap()(torch.tensor([[1.0, -2.0, 0.5, 3.0]])).tolist() == [[1.0, 3.0]]


def test_pooling_with_even_attention_gives_mean_and_deviation() -> None:
    pooling = AttentiveStatisticsPooling(4, 8)
    nn.init.zeros_(pooling.attention[2].weight)
    x_TBC = torch.randn(50, 3, 4)
    expected = torch.cat((x_TBC.mean(dim=0), x_TBC.std(dim=0, correction=0)), dim=-1)
    torch.testing.assert_close(pooling(x_TBC), expected, rtol=1e-4, atol=1e-5)


def test_pooling_weights_frames_by_its_attention() -> None:
    pooling = AttentiveStatisticsPooling(1, 1)
    for layer in (pooling.attention[0], pooling.attention[2]):
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
    x_TBC = torch.tensor([0.0, 1.0])[:, None, None]
    weight = torch.softmax(torch.tanh(torch.tensor([0.0, 1.0])), dim=0)
    mean = weight[1]
    deviation = (weight[1] - mean**2).sqrt()
    torch.testing.assert_close(pooling(x_TBC)[0], torch.stack((mean, deviation)))


def test_pooling_with_context_shows_the_attention_mean_and_deviation_of_the_crop() -> None:
    pooling = AttentiveStatisticsPooling(4, 8, with_context=True)
    seen: list[torch.Tensor] = []
    pooling.attention.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x_TBC = torch.randn(50, 3, 4)
    assert pooling(x_TBC).shape == (3, 8)
    context_B8 = torch.cat((x_TBC.mean(dim=0), x_TBC.std(dim=0, correction=0)), dim=-1)
    expected = torch.cat((x_TBC, context_B8.expand(50, 3, 8)), dim=-1)
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-5)


def test_pooling_by_frames_is_softmax_attention_with_one_query() -> None:
    mean_only = FrameAttentivePooling(4, with_deviation=False)
    both = FrameAttentivePooling(4, with_deviation=True)
    both.load_state_dict(mean_only.state_dict())
    x_TBC = torch.randn(30, 2, 4)
    key_BTC = torch.tanh(mean_only.project(x_TBC)).transpose(0, 1)
    query_B1C = mean_only.attention.T.expand(2, 1, 4)
    x_BTC = x_TBC.transpose(0, 1)
    expected_B1C = nn.functional.scaled_dot_product_attention(query_B1C, key_BTC, x_BTC, scale=1.0)
    torch.testing.assert_close(mean_only(x_TBC), expected_B1C[:, 0])
    square_B1C = nn.functional.scaled_dot_product_attention(
        query_B1C, key_BTC, x_BTC.square(), scale=1.0
    )
    deviation_BC = (square_B1C - expected_B1C.square()).sqrt()[:, 0]
    torch.testing.assert_close(both(x_TBC), torch.cat((expected_B1C[:, 0], deviation_BC), dim=-1))


@pytest.mark.parametrize(
    "pooling",
    [
        AttentiveStatisticsPooling(8, 16),
        AttentiveStatisticsPooling(8, 16, with_context=True),
        FrameAttentivePooling(8, with_deviation=True),
    ],
    ids=["channels", "context", "frames"],
)
def test_pooling_in_bfloat16_has_weights_that_sum_to_1(pooling: nn.Module) -> None:
    """Constant frames have their own value as mean, and no deviation, whatever the weights."""
    x_TBC = torch.full((200, 2, 8), 3.0)
    with torch.autocast("cpu", torch.bfloat16):
        mean, deviation = pooling(x_TBC.bfloat16()).chunk(2, dim=-1)
    torch.testing.assert_close(mean, torch.full((2, 8), 3.0), rtol=1e-5, atol=0)
    torch.testing.assert_close(deviation, torch.zeros(2, 8), rtol=0, atol=0.01)


def test_attention_with_context_sees_mean_and_deviation_that_bfloat16_has_not_rounded() -> None:
    pooling = AttentiveStatisticsPooling(4, 8, with_context=True)
    seen: list[torch.Tensor] = []
    pooling.attention.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x_TBC = (10 + 0.1 * torch.randn(200, 2, 4)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        pooling(x_TBC)
    assert seen[0].dtype == torch.bfloat16
    _, mean_BC, deviation_BC = seen[0][0].float().chunk(3, dim=-1)
    torch.testing.assert_close(mean_BC, x_TBC.float().mean(dim=0), rtol=2**-8, atol=0)
    expected = x_TBC.float().std(dim=0, correction=0)
    torch.testing.assert_close(deviation_BC, expected, rtol=0.02, atol=0)
