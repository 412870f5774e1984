"""ResNetSE34L: its block against a plain version, its sizes against the trainer's."""

import pytest
import torch
from pydantic import ValidationError

from models import ResNetSE34LConfig, build_model
from models.resnet_se34l import SEBasicBlock


@pytest.mark.parametrize(("in_channels", "stride"), [(8, 1), (8, 2), (16, 2)])
def test_block_is_convolutions_norms_and_gates_added_to_its_input(
    in_channels: int, stride: int
) -> None:
    block = SEBasicBlock(in_channels, 16, stride).eval()
    x_BCFT = torch.randn(2, in_channels, 9, 7)
    inner = block.norm1(block.conv1(x_BCFT).relu())
    gated = block.norm2(block.conv2(inner))
    gated = gated * block.se.gate(gated.mean(dim=(2, 3)))[:, :, None, None]
    expected = (gated + block.shortcut[1](block.shortcut[0](x_BCFT))).relu()
    torch.testing.assert_close(block(x_BCFT), expected)
    assert block(x_BCFT).shape[2:] == (-(-9 // stride), -(-7 // stride))


def test_depth_and_width_are_the_trainers() -> None:
    model = build_model(ResNetSE34LConfig())
    sizes = [[block.conv2.out_channels for block in layer] for layer in model.layers]
    assert sizes == [[16] * 3, [32] * 4, [64] * 6, [128] * 3]


@pytest.mark.parametrize(("encoder", "inputs"), [("SAP", 128), ("ASP", 256)])
def test_pooling_gives_the_mean_or_mean_and_deviation(encoder: str, inputs: int) -> None:
    assert build_model(ResNetSE34LConfig(encoder_type=encoder)).embedding.in_features == inputs


def test_other_poolings_and_widths_are_refused() -> None:
    with pytest.raises(ValidationError, match="'SAP' or 'ASP'"):
        ResNetSE34LConfig(encoder_type="TAP")
    with pytest.raises(ValidationError, match="multiple of 8"):
        ResNetSE34LConfig(num_filters=20)
