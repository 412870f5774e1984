"""The parts of CAM++ against plain versions, its size and cost against the published ones."""

import pytest
import torch

from models import CAMPPlusConfig, build_model, count_parameters
from models.campplus import DenseLayer, context_over_time, rows_after_head
from trainable.cost.macs import count_macs


@pytest.mark.parametrize("frames", [1, 99, 100, 250])
def test_the_context_is_the_mean_of_all_and_of_each_segment(frames: int) -> None:
    x_BCT = torch.randn(2, 3, frames, dtype=torch.float64)
    expected = torch.cat(
        [part.mean(2, keepdim=True).expand_as(part) for part in x_BCT.split(100, dim=2)], dim=2
    )
    expected = expected + x_BCT.mean(2, keepdim=True)
    torch.testing.assert_close(context_over_time(x_BCT), expected)


def test_a_layer_masks_its_convolution() -> None:
    layer = DenseLayer(6, 4, dilation=2).eval()
    x_BCT = torch.randn(2, 6, 30)
    with torch.no_grad():
        layer.excite.weight.zero_()
        layer.excite.bias.fill_(float("inf"))  # a mask of ones
        inner = torch.relu(layer.norm2(layer.linear1(torch.relu(layer.norm1(x_BCT)))))
        torch.testing.assert_close(layer(x_BCT), layer.conv(inner))
        layer.excite.bias.zero_()
        torch.testing.assert_close(layer(x_BCT), layer.conv(inner) / 2)


def test_size_and_cost_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        model = build_model(CAMPPlusConfig()).eval()
    assert count_parameters(model) == pytest.approx(7.18e6, rel=0.01)
    # 1.72 G for three seconds, in the paper.
    assert count_macs(model, (1, 300, 80)) == pytest.approx(1.72e9, rel=0.02)


@pytest.mark.parametrize(("num_mels", "rows"), [(80, 10), (40, 5), (84, 11)])
def test_the_head_leaves_an_eighth_of_the_frequencies(num_mels: int, rows: int) -> None:
    model = build_model(CAMPPlusConfig(growth=4, num_mels=num_mels)).eval()
    assert rows_after_head(num_mels) == rows
    assert model.head(torch.randn(1, 12, num_mels)).shape == (1, 4 * rows, 12)
