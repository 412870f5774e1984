"""ECAPA-TDNN, the usual reference model of the field.

Shapes: B batch, C channels, T frames, F mel bins, D embedding.

Source: Desplanques et al., "ECAPA-TDNN: Emphasized Channel Attention, Propagation and Aggregation
in TDNN Based Speaker Verification", Interspeech 2020.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from models.base import ModelConfig, ModelOutput, SpeakerModel
from models.pooling import AttentiveStatisticsPooling
from models.squeeze_excitation import SqueezeExcitation

# Both from the paper, as are the kernel sizes below.
RES2NET_SCALE = 8
DILATIONS = (2, 3, 4)


class ECAPATDNNConfig(ModelConfig):
    """Size of an ECAPA-TDNN; the defaults are the paper's smaller one, 6.2M parameters."""

    family: Literal["ecapa_tdnn"] = "ecapa_tdnn"
    channels: int = Field(
        512,
        ge=8,
        le=4096,
        multiple_of=RES2NET_SCALE,
        description="Channels of a frame (the paper's C).",
    )
    aggregation_dim: int = Field(
        1536, ge=8, le=8192, description="Channels after the outputs of the blocks are joined."
    )
    bottleneck_dim: int = Field(
        128, ge=1, le=1024, description="Inner size of the channel gates and of the attention."
    )
    embedding_dim: int = Field(192, ge=8, le=4096, description="Size of the embedding.")


class ConvBlock(nn.Sequential):
    """Convolution over time that keeps the length, ReLU, batch normalisation."""

    def __init__(self, in_channels: int, channels: int, kernel: int = 1, dilation: int = 1):
        super().__init__(
            nn.Conv1d(in_channels, channels, kernel, padding="same", dilation=dilation),
            nn.ReLU(),
            nn.BatchNorm1d(channels),
        )


class Res2Conv(nn.Module):
    """Dilated convolutions of kernel 3 over eighths of the channels, in a chain.

    Each convolution takes its eighth plus the output of the one before; the first eighth passes
    unchanged. Source: Gao et al., "Res2Net", TPAMI 2021.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        width = channels // RES2NET_SCALE
        self.convs = nn.ModuleList(
            ConvBlock(width, width, 3, dilation) for _ in range(RES2NET_SCALE - 1)
        )

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Convolve the eighths in order; shape unchanged."""
        first_conv, *convs = self.convs
        # The second eighth has no earlier output to add: the first one passes without convolution.
        kept, first, *rest = x_BCT.chunk(RES2NET_SCALE, dim=1)
        outputs = [kept, first_conv(first)]
        for conv, part in zip(convs, rest, strict=True):
            outputs.append(conv(part + outputs[-1]))
        return torch.cat(outputs, dim=1)


class SERes2Block(nn.Sequential):
    """Pointwise, Res2, pointwise, channel gates; the caller adds the residual."""

    def __init__(self, channels: int, bottleneck_dim: int, dilation: int) -> None:
        super().__init__(
            ConvBlock(channels, channels),
            Res2Conv(channels, dilation),
            ConvBlock(channels, channels),
            SqueezeExcitation(channels, bottleneck_dim),
        )


class ECAPATDNN(SpeakerModel):
    """Three SE-Res2Blocks, their outputs aggregated, attentive statistics pooling with context.

    The input of a block is the sum of the outputs of all earlier blocks and the first convolution
    (the paper's section 3.3).
    """

    def __init__(self, config: ECAPATDNNConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.embedding_dim
        channels, aggregated = config.channels, config.aggregation_dim
        self.project = ConvBlock(config.num_mels, channels, 5)
        self.blocks = nn.ModuleList(
            # Larger dilations in later blocks widen the context without more parameters.
            SERes2Block(channels, config.bottleneck_dim, dilation) for dilation in DILATIONS
        )
        self.aggregate = nn.Conv1d(len(DILATIONS) * channels, aggregated, 1)
        self.pooling = AttentiveStatisticsPooling(
            aggregated, config.bottleneck_dim, with_context=True
        )
        self.pooling_norm = nn.BatchNorm1d(2 * aggregated)
        self.embedding = nn.Linear(2 * aggregated, config.embedding_dim)
        self.embedding_norm = nn.BatchNorm1d(config.embedding_dim)

    def encode(self, norm_BTF: Tensor, *, with_stages: bool) -> ModelOutput:
        """Embed normalised log-mels; the stages are the blocks' outputs, then their aggregate."""
        sum_BCT = self.project(norm_BTF.transpose(1, 2))
        levels: list[Tensor] = []
        for block in self.blocks:
            levels.append(sum_BCT + block(sum_BCT))
            sum_BCT = sum_BCT + levels[-1]
        levels.append(F.relu(self.aggregate(torch.cat(levels, dim=1))))
        pooled_BC = self.pooling_norm(self.pooling(levels[-1].permute(2, 0, 1)))
        embedding_BD = self.embedding_norm(self.embedding(pooled_BC))
        stages = tuple(level.transpose(1, 2) for level in levels) if with_stages else ()
        return ModelOutput(embedding_BD, stages, None)
