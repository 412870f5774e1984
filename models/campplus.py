"""CAM++: a small image network, then dense blocks over time whose layers see their context.

Shapes: B batch, C channels, F mel bins (reduced by strides), T frames (halved once), D embedding.

Source: Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using
Context-Aware Masking", Interspeech 2023 (arXiv 2303.00332). Two details differ: the deviation of
the pooling is that of the frames as they are (divided by T, not by T - 1), so that one frame is
enough; and all widths follow from the growth, so that smaller networks have the same shape.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from models.base import ModelConfig, ModelOutput, SpeakerModel
from models.pooling import at_least_float32, statistics_over_time

# All from the paper.
NUM_LAYERS = (12, 24, 16)
DILATIONS = (1, 2, 2)
BOTTLENECK = 4
CONTEXT_REDUCTION = 2
SEGMENT_FRAMES = 100
FIRST_KERNEL = 5
# Of the head, in which each halves the frequencies.
NUM_HALVINGS = 3


class CAMPPlusConfig(ModelConfig):
    """Size of a CAM++; the defaults are the paper's 7.2M parameters."""

    family: Literal["campplus"] = "campplus"
    growth: int = Field(
        32,
        ge=4,
        le=128,
        multiple_of=2,
        description="Channels that each of the 52 dense layers adds (the paper's 32); the head "
        "has as many, the bottlenecks four times as many.",
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, added to the input; the first may halve the frequencies."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, (stride, 1), padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.append(nn.Conv2d(channels, channels, 1, (stride, 1), bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels))

    def forward(self, x_BCFT: Tensor) -> Tensor:
        """Apply the block; F is divided by the stride, rounding up."""
        y_BCFT = F.relu(self.norm1(self.conv1(x_BCFT)))
        return F.relu(self.norm2(self.conv2(y_BCFT)) + self.shortcut(x_BCFT))


class ImageHead(nn.Module):
    """Convolutions over frequency and time, an eighth of the frequencies, then one axis for both.

    The paper's front-end convolution module (FCM).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.blocks = nn.Sequential(*(ResidualBlock(channels, stride) for stride in (2, 1, 2, 1)))
        self.conv2 = nn.Conv2d(channels, channels, 3, (2, 1), padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, norm_BTF: Tensor) -> Tensor:
        """Return (B, C, T), with channels and remaining frequencies in C, channel first."""
        x_BCFT = F.relu(self.norm1(self.conv1(norm_BTF.transpose(1, 2).unsqueeze(1))))
        x_BCFT = F.relu(self.norm2(self.conv2(self.blocks(x_BCFT))))
        return x_BCFT.flatten(1, 2)


def context_over_time(x_BCT: Tensor) -> Tensor:
    """Return the mean of all frames plus that of each frame's segment of 100, (B, C, T)."""
    # By sums up to each frame: runtimes of ONNX differ in the mean of a last window that is not
    # full. The length is taken from a tensor, since a number would be a constant in a graph.
    sum_BCT = F.pad(at_least_float32(x_BCT).cumsum(dim=2), (1, 0))
    frame_T = torch.arange(x_BCT.shape[2], device=x_BCT.device)
    start_T = frame_T // SEGMENT_FRAMES * SEGMENT_FRAMES
    end_T = torch.minimum(start_T + SEGMENT_FRAMES, frame_T[-1:] + 1)
    segment_BCT = (sum_BCT[:, :, end_T] - sum_BCT[:, :, start_T]) / (end_T - start_T)
    return x_BCT.mean(dim=2, keepdim=True) + segment_BCT.to(x_BCT.dtype)


class DenseLayer(nn.Module):
    """A bottleneck, and a convolution over time whose outputs are masked by their context."""

    def __init__(self, in_channels: int, growth: int, dilation: int) -> None:
        super().__init__()
        bottleneck = BOTTLENECK * growth
        self.norm1 = nn.BatchNorm1d(in_channels)
        self.linear1 = nn.Conv1d(in_channels, bottleneck, 1, bias=False)
        self.norm2 = nn.BatchNorm1d(bottleneck)
        self.conv = nn.Conv1d(
            bottleneck, growth, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.squeeze = nn.Conv1d(bottleneck, bottleneck // CONTEXT_REDUCTION, 1)
        self.excite = nn.Conv1d(bottleneck // CONTEXT_REDUCTION, growth, 1)

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Return the channels to add, (B, growth, T)."""
        inner_BCT = F.relu(self.norm2(self.linear1(F.relu(self.norm1(x_BCT)))))
        mask_BCT = self.excite(F.relu(self.squeeze(context_over_time(inner_BCT))))
        y_BCT: Tensor = self.conv(inner_BCT) * torch.sigmoid(mask_BCT)
        return y_BCT


class DenseBlock(nn.Module):
    """Layers that each see what all before them gave; then half of the channels."""

    def __init__(self, in_channels: int, growth: int, num_layers: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(in_channels + i * growth, growth, dilation) for i in range(num_layers)
        )
        joined = in_channels + num_layers * growth
        self.norm = nn.BatchNorm1d(joined)
        self.transit = nn.Conv1d(joined, joined // 2, 1, bias=False)

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Return (B, C', T)."""
        for layer in self.layers:
            x_BCT = torch.cat((x_BCT, layer(x_BCT)), dim=1)
        y_BCT: Tensor = self.transit(F.relu(self.norm(x_BCT)))
        return y_BCT


class DenseTDNN(nn.Module):
    """The convolution that halves the frames, and three dense blocks."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        channels = BOTTLENECK * growth
        self.first = nn.Conv1d(
            in_channels, channels, FIRST_KERNEL, 2, padding=FIRST_KERNEL // 2, bias=False
        )
        self.first_norm = nn.BatchNorm1d(channels)
        self.blocks = nn.ModuleList()
        for num_layers, dilation in zip(NUM_LAYERS, DILATIONS, strict=True):
            self.blocks.append(DenseBlock(channels, growth, num_layers, dilation))
            channels = (channels + num_layers * growth) // 2
        self.last_norm = nn.BatchNorm1d(channels)
        self.num_channels = channels

    def forward(self, x_BCT: Tensor) -> list[Tensor]:
        """Return the output of each block; the last one normalised and rectified."""
        x_BCT = F.relu(self.first_norm(self.first(x_BCT)))
        levels: list[Tensor] = []
        for block in self.blocks:
            x_BCT = block(x_BCT)
            levels.append(x_BCT)
        levels[-1] = F.relu(self.last_norm(levels[-1]))
        return levels


def rows_after_head(num_mels: int) -> int:
    """Return how many frequencies the head leaves: each stride halves them, rounding up."""
    for _ in range(NUM_HALVINGS):
        num_mels = -(-num_mels // 2)
    return num_mels


class CAMPPlus(SpeakerModel):
    """The image head, the dense blocks, mean and deviation over time."""

    def __init__(self, config: CAMPPlusConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.embedding_dim
        self.head = ImageHead(config.growth)
        self.tdnn = DenseTDNN(config.growth * rows_after_head(config.num_mels), config.growth)
        self.embedding = nn.Linear(2 * self.tdnn.num_channels, config.embedding_dim, bias=False)
        self.embedding_norm = nn.BatchNorm1d(config.embedding_dim, affine=False)
        # As in the authors' repository.
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def encode(self, norm_BTF: Tensor, *, with_stages: bool) -> ModelOutput:
        """Embed normalised log-mels; the stages are the outputs of the three dense blocks.

        The stages have half of the frames, rounding up.
        """
        levels = self.tdnn(self.head(norm_BTF))
        pooled_BC = torch.cat(statistics_over_time(levels[-1].permute(2, 0, 1)), dim=-1)
        embedding_BD = self.embedding_norm(self.embedding(pooled_BC))
        stages = tuple(each.transpose(1, 2) for each in levels) if with_stages else ()
        return ModelOutput(embedding_BD, stages, None)
