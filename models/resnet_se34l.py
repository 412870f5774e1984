"""ResNetSE34L, voxceleb_trainer's fast ResNet-34 with squeeze and excitation.

Shapes: B batch, C channels, F mel bins and T frames (both reduced by strides), D embedding.
"""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from models.base import ModelConfig, ModelOutput, SpeakerModel
from models.pooling import FrameAttentivePooling
from models.squeeze_excitation import SqueezeExcitation

# The blocks of a ResNet-34; strides and reduction are the trainer's.
NUM_BLOCKS = (3, 4, 6, 3)
STRIDES = (1, 2, 2, 1)
SE_REDUCTION = 8


class ResNetSE34LConfig(ModelConfig):
    """Size of a ResNetSE34L; the defaults are the trainer's, with 80 mel bins in place of 40."""

    family: Literal["resnet_se34l"] = "resnet_se34l"
    encoder_type: Literal["SAP", "ASP"] = Field(
        "SAP", description="Pooling: attentive mean (SAP), or mean and deviation (ASP)."
    )
    num_filters: int = Field(
        16,
        ge=8,
        le=256,
        multiple_of=SE_REDUCTION,
        description="Channels of the first of four stages; each further stage has twice as many.",
    )


class SEBasicBlock(nn.Module):
    """Two 3x3 convolutions and a squeeze-and-excitation, added to the (projected) input.

    The ReLU comes before the first batch normalisation, as in the trainer.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.se = SqueezeExcitation(channels, channels // SE_REDUCTION)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != channels:
            self.shortcut.append(nn.Conv2d(in_channels, channels, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels))

    def forward(self, x_BCFT: Tensor) -> Tensor:
        """Apply the block; F and T are divided by the stride, rounding up."""
        y_BCFT = self.norm1(F.relu(self.conv1(x_BCFT)))
        y_BCFT = self.se(self.norm2(self.conv2(y_BCFT)))
        return F.relu(y_BCFT + self.shortcut(x_BCFT))


class ResNetSE34L(SpeakerModel):
    """A ResNet over the log-mels as an image, averaged over frequency and pooled over time.

    Source: Chung et al., "In defence of metric learning for speaker recognition", Interspeech
    2020 ("Fast ResNet-34"), and the trainer's `models/ResNetSE34L.py`.
    """

    def __init__(self, config: ResNetSE34LConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.embedding_dim
        channels = config.num_filters
        self.conv = nn.Conv2d(1, channels, 7, stride=(2, 1), padding=3, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.layers = nn.ModuleList()
        for i, (num_blocks, stride) in enumerate(zip(NUM_BLOCKS, STRIDES, strict=True)):
            in_channels, channels = channels, config.num_filters * 2**i
            later = (SEBasicBlock(channels, channels, 1) for _ in range(num_blocks - 1))
            self.layers.append(nn.Sequential(SEBasicBlock(in_channels, channels, stride), *later))
        with_deviation = config.encoder_type == "ASP"
        self.pooling = FrameAttentivePooling(channels, with_deviation=with_deviation)
        self.embedding = nn.Linear((1 + with_deviation) * channels, config.embedding_dim)
        # The trainer's initialisation in place of PyTorch's default.
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def encode(self, norm_BTF: Tensor, *, with_stages: bool) -> ModelOutput:
        """Embed normalised log-mels.

        The stages are the outputs of the four groups of blocks, with channels and remaining
        frequencies flattened into C (channel first). The second and third group halve T, rounding
        up.
        """
        x_BCFT = self.norm(self.conv(norm_BTF.transpose(1, 2).unsqueeze(1)))
        x_BCFT = F.relu(x_BCFT)
        stages: list[Tensor] = []
        for layer in self.layers:
            x_BCFT = layer(x_BCFT)
            if with_stages:
                stages.append(x_BCFT.permute(0, 3, 1, 2).flatten(2))
        pooled_BC = self.pooling(x_BCFT.mean(dim=2).permute(2, 0, 1))
        return ModelOutput(self.embedding(pooled_BC), tuple(stages), None)
