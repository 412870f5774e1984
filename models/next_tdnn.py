"""NeXt-TDNN: convolutions over time alone, in blocks as those of ConvNeXt V2.

Shapes: B batch, T frames, F mel bins, C channels, I inner channels, D embedding.

Source: Heo et al., "NeXt-TDNN: Modernizing Multi-Scale Temporal Convolution Backbone for Speaker
Verification", ICASSP 2024 (arXiv 2312.08603). Two details differ: the first convolution is padded,
so that a crop may have any length, and the attention of the pooling has no batch normalisation.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from models.base import ModelConfig, ModelOutput, SpeakerModel
from models.pooling import AttentiveStatisticsPooling, at_least_float32

# All from the paper; the last two are ConvNeXt's.
NUM_STAGES = 3
STEM_KERNEL = 4
ATTENTION_SHARE = 8
EXPANSION = 4
INIT_STD = 0.02
NORM_EPS = 1e-6


class NeXtTDNNConfig(ModelConfig):
    """Size of a NeXt-TDNN; the defaults are the paper's light one of 1.6M parameters."""

    family: Literal["next_tdnn"] = "next_tdnn"
    channels: int = Field(
        128,
        ge=8,
        le=4096,
        multiple_of=ATTENTION_SHARE,
        description="Channels of a frame (the paper's C: 128, 192, 256 or 384).",
    )
    num_blocks: int = Field(
        3, ge=1, le=12, description="Blocks in each of the three stages (the paper's B: 1 or 3)."
    )
    light: bool = Field(
        True,
        description="Whether a block has one convolution of all channels; else half of the "
        "channels have a short one, between two linear layers.",
    )
    kernel: int = Field(65, ge=3, le=401, description="Frames of a long convolution; odd.")
    short_kernel: int = Field(
        7, ge=3, le=401, description="Frames of the short convolution without `light`; odd."
    )
    embedding_dim: int = Field(192, ge=8, le=4096, description="Size of the embedding.")

    @field_validator("kernel", "short_kernel")
    @classmethod
    def _is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"must be odd, so that a frame is in the middle, got {value}")
        return value


class DepthwiseConv(nn.Module):
    """A convolution over time of each channel by itself; the length is kept."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.padding = kernel // 2
        self.weight = nn.Parameter(torch.empty(channels, 1, 1, kernel))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.trunc_normal_(self.weight, std=INIT_STD)

    def forward(self, x_BTC: Tensor) -> Tensor:
        """Convolve; shape unchanged."""
        # An image of one row whose channels come last in memory: on a CPU twelve times as fast as
        # a convolution of one dimension.
        x_BC1T = x_BTC.transpose(1, 2).unsqueeze(2)
        y_BC1T = F.conv2d(
            x_BC1T, self.weight, self.bias, padding=(0, self.padding), groups=len(self.weight)
        )
        return y_BC1T.squeeze(2).transpose(1, 2)


class GlobalResponseNorm(nn.Module):
    """Channels compete: each is scaled by its norm over time against the mean of all norms.

    Source: Woo et al., "ConvNeXt V2", CVPR 2023.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x_BTI: Tensor) -> Tensor:
        """Scale the channels; shape unchanged."""
        norm_B1I = torch.linalg.vector_norm(at_least_float32(x_BTI), dim=1, keepdim=True)
        share_B1I = norm_B1I / (norm_B1I.mean(dim=-1, keepdim=True) + NORM_EPS)
        scaled_BTI: Tensor = x_BTI * (1 + self.gamma * share_B1I.to(x_BTI.dtype)) + self.beta
        return scaled_BTI


def small_linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer whose weights begin small, as in ConvNeXt."""
    layer = nn.Linear(inputs, outputs)
    nn.init.trunc_normal_(layer.weight, std=INIT_STD)
    nn.init.zeros_(layer.bias)
    return layer


class ConvolutionOverScales(nn.Module):
    """A linear layer, a convolution of its own for each part of the channels, a linear layer."""

    def __init__(self, channels: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.before = small_linear(channels, channels)
        self.convs = nn.ModuleList(
            DepthwiseConv(channels // len(kernels), kernel) for kernel in kernels
        )
        self.after = small_linear(channels, channels)

    def forward(self, x_BTC: Tensor) -> Tensor:
        """Convolve; shape unchanged."""
        parts = self.before(x_BTC).chunk(len(self.convs), dim=-1)
        convolved = [conv(part) for conv, part in zip(self.convs, parts, strict=True)]
        y_BTC: Tensor = self.after(F.gelu(torch.cat(convolved, dim=-1)))
        return y_BTC


class NeXtBlock(nn.Module):
    """Convolution over time, then a network over the channels, each with its residual."""

    def __init__(self, channels: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.conv: nn.Module = (
            DepthwiseConv(channels, kernels[0])
            if len(kernels) == 1
            else ConvolutionOverScales(channels, kernels)
        )
        self.norm = nn.LayerNorm(channels, eps=NORM_EPS)
        self.up = small_linear(channels, EXPANSION * channels)
        self.response = GlobalResponseNorm(EXPANSION * channels)
        self.down = small_linear(EXPANSION * channels, channels)

    def forward(self, x_BTC: Tensor) -> Tensor:
        """Apply the block; shape unchanged."""
        x_BTC = x_BTC + self.conv(x_BTC)
        inner_BTI = self.response(F.gelu(self.up(self.norm(x_BTC))))
        y_BTC: Tensor = x_BTC + self.down(inner_BTI)
        return y_BTC


class Stem(nn.Module):
    """The first convolution over time, from mel bins to channels, and its layer norm."""

    def __init__(self, num_mels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(num_mels, channels, STEM_KERNEL)
        self.norm = nn.LayerNorm(channels, eps=NORM_EPS)
        nn.init.trunc_normal_(self.conv.weight, std=INIT_STD)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, norm_BTF: Tensor) -> Tensor:
        """Return (B, T, C)."""
        before = (STEM_KERNEL - 1) // 2
        padded_BFT = F.pad(norm_BTF.transpose(1, 2), (before, STEM_KERNEL - 1 - before))
        y_BTC: Tensor = self.norm(self.conv(padded_BFT).transpose(1, 2))
        return y_BTC


class NeXtTDNN(SpeakerModel):
    """Three stages of blocks, their outputs joined, attentive statistics pooling."""

    def __init__(self, config: NeXtTDNNConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.embedding_dim
        channels, joined = config.channels, NUM_STAGES * config.channels
        kernels = (config.kernel,) if config.light else (config.short_kernel, config.kernel)
        self.stem = Stem(config.num_mels, channels)
        self.stages = nn.ModuleList(
            nn.Sequential(*(NeXtBlock(channels, kernels) for _ in range(config.num_blocks)))
            for _ in range(NUM_STAGES)
        )
        self.join = nn.Linear(joined, joined)
        self.join_norm = nn.LayerNorm(joined, eps=NORM_EPS)
        self.pooling = AttentiveStatisticsPooling(joined, joined // ATTENTION_SHARE)
        self.pooling_norm = nn.BatchNorm1d(2 * joined)
        self.embedding = nn.Linear(2 * joined, config.embedding_dim)
        self.embedding_norm = nn.BatchNorm1d(config.embedding_dim)

    def encode(self, norm_BTF: Tensor, *, with_stages: bool) -> ModelOutput:
        """Embed normalised log-mels; the stages are the outputs of the three, then joined."""
        x_BTC = self.stem(norm_BTF)
        levels: list[Tensor] = []
        for stage in self.stages:
            x_BTC = stage(x_BTC)
            levels.append(x_BTC)
        levels.append(self.join_norm(self.join(torch.cat(levels, dim=-1))))
        pooled_BC = self.pooling_norm(self.pooling(levels[-1].transpose(0, 1)))
        embedding_BD = self.embedding_norm(self.embedding(pooled_BC))
        return ModelOutput(embedding_BD, tuple(levels) if with_stages else (), None)
