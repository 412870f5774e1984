"""The MLP-Mixer for crops of any length: its token mixing is a convolution.

Shapes: T frames, B batch, C channels.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from models.layers import uniform_
from models.mlp_mixer import ChannelMixing, MixerSize, MLPMixerSpeaker, mix_channels


class MLPMixerFreeConfig(MixerSize):
    """Size of a Mixer for any length; 2.4M parameters at the defaults."""

    family: Literal["mlp_mixer_free"] = "mlp_mixer_free"
    kernel: int = Field(
        51, ge=3, le=401, description="Frames that a token mixing sees (10 ms each); odd."
    )

    @field_validator("kernel")
    @classmethod
    def _is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"must be odd, so that a frame is in the middle, got {value}")
        return value


class TimeConv(nn.Module):
    """A convolution over time of each channel by itself; the length is kept."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel, 1))
        self.bias = nn.Parameter(torch.empty(channels))
        uniform_(self.weight, kernel)
        uniform_(self.bias, kernel)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Convolve; shape unchanged."""
        # An image of T x B pixels whose channels come last in memory, so nothing is copied.
        x_1CTB = x_TBC.permute(2, 0, 1).unsqueeze(0)
        padding = (self.weight.shape[2] // 2, 0)
        y_1CTB = F.conv2d(
            x_1CTB, self.weight, self.bias, padding=padding, groups=len(self.weight)
        )
        return y_1CTB.squeeze(0).permute(1, 2, 0)


class FreeMixerBlock(nn.Module):
    """Convolutional token mixing, then channel mixing, each with its residual.

    The notes' token mixing is a matrix over groups of 50 frames, different for each place of a
    crop and equal for all channels. Here it is the same for each place and different for each
    channel; it sees as many frames. The notes' ID convolution is left out: it is such a
    convolution too.
    """

    def __init__(self, config: MLPMixerFreeConfig) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(config.hidden_dim)
        self.up = TimeConv(config.hidden_dim, config.kernel)
        self.down = TimeConv(config.hidden_dim, config.kernel)
        self.channel_norm = nn.LayerNorm(config.hidden_dim)
        self.channel_mixing = ChannelMixing(config, groups=None)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Apply the block; shape unchanged."""
        x_TBC = x_TBC + self.down(F.gelu(self.up(self.token_norm(x_TBC))))
        return mix_channels(x_TBC, self.channel_norm, self.channel_mixing)


class MLPMixerFree(MLPMixerSpeaker):
    """A Mixer of such blocks; projection, stages and pooling are those of the notes' Mixer."""

    def __init__(self, config: MLPMixerFreeConfig) -> None:
        super().__init__(config, FreeMixerBlock)
