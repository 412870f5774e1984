"""The Mixer: its layers and its network.

Shapes: T frames, B batch, C channels, F mel bins, D embedding; G groups, Z = B * C.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.frontend import NUM_MELS
from models.layers import uniform_
from models.mlp_mixer import ATTENTION_DIM
from models.plain.pooling import AttentiveStatisticsPooling
from models.plain.speaker_net import SpeakerNet

EMBEDDING_DIM = 512
HIDDEN_DIM = 192
NUM_BLOCKS = 6
EXPANSION_FACTOR = 3
GROUPS = 4
GROUP_CHANNEL_MIXING = False
NUM_FRAMES = 200


class IDConv(nn.Module):
    """Identity-enhanced depthwise convolution over time, kernel 3, zeros beyond the edges."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3, channels))
        self.bias = nn.Parameter(torch.empty(channels))
        uniform_(self.weight, 3)
        uniform_(self.bias, 3)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Return x[t] + bias + sum_k weight[k] * x[t + k - 1]."""
        padded = F.pad(x_TBC, (0, 0, 0, 0, 1, 1))
        first_C, middle_C, last_C = self.weight.unbind()
        y_TBC = x_TBC + self.bias + middle_C * x_TBC
        return y_TBC + first_C * padded[:-2] + last_C * padded[2:]


class GroupedTokenLinear(nn.Module):
    """A linear map over frames in groups of neighbouring frames."""

    def __init__(self, in_frames: int, out_frames: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(groups, out_frames // groups, in_frames // groups))
        self.bias = nn.Parameter(torch.empty(out_frames))
        uniform_(self.weight, in_frames // groups)
        uniform_(self.bias, in_frames // groups)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Map (in_frames, B, C) to (out_frames, B, C)."""
        _, batch, channels = x_TBC.shape
        x_GIZ = x_TBC.reshape(self.groups, -1, batch * channels)
        y_GOZ = self.weight @ x_GIZ + self.bias.view(self.groups, -1, 1)
        return y_GOZ.reshape(-1, batch, channels)


class GroupedLinear(nn.Module):
    """A linear map over channels in groups."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(
            torch.empty(groups, in_channels // groups, out_channels // groups)
        )
        self.bias = nn.Parameter(torch.empty(out_channels))
        uniform_(self.weight, in_channels // groups)
        uniform_(self.bias, in_channels // groups)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Map (T, B, in_channels) to (T, B, out_channels)."""
        x_TBGI = x_TBC.reshape(*x_TBC.shape[:2], self.groups, -1)
        y_TBGO = torch.einsum("tbgi,gio->tbgo", x_TBGI, self.weight)
        return y_TBGO.flatten(2) + self.bias


class TokenMixing(nn.Module):
    """Two grouped linear maps over the frames with GELU between them."""

    def __init__(self) -> None:
        super().__init__()
        inner = NUM_FRAMES * EXPANSION_FACTOR
        self.up = GroupedTokenLinear(NUM_FRAMES, inner, GROUPS)
        self.down = GroupedTokenLinear(inner, NUM_FRAMES, GROUPS)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Mix over frames; shape unchanged."""
        mixed_TBC: Tensor = self.down(F.gelu(self.up(x_TBC)))
        return mixed_TBC


class ChannelMixing(nn.Module):
    """Linear, maximum of the two halves (Max-Feature-Map), linear over the channels."""

    def __init__(self) -> None:
        super().__init__()
        inner = HIDDEN_DIM * EXPANSION_FACTOR
        self.up: nn.Module = nn.Linear(HIDDEN_DIM, 2 * inner)
        self.down: nn.Module = nn.Linear(inner, HIDDEN_DIM)
        if GROUP_CHANNEL_MIXING:
            self.up = GroupedLinear(HIDDEN_DIM, 2 * inner, GROUPS)
            self.down = GroupedLinear(inner, HIDDEN_DIM, GROUPS)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Mix over channels; shape unchanged."""
        mixed_TBC: Tensor = self.down(torch.maximum(*self.up(x_TBC).chunk(2, dim=-1)))
        return mixed_TBC


class MixerBlock(nn.Module):
    """Token mixing, then channel mixing, each with its residual."""

    def __init__(self) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(HIDDEN_DIM)
        self.id_conv = IDConv(HIDDEN_DIM)
        self.token_mixing = TokenMixing()
        self.channel_norm = nn.LayerNorm(HIDDEN_DIM)
        self.channel_mixing = ChannelMixing()

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Apply the block; shape unchanged."""
        return self.mix_channels(self.mix_tokens(x_TBC))

    def mix_tokens(self, x_TBC: Tensor) -> Tensor:
        """Return x + token(idconv(norm(x)))."""
        mixed_TBC: Tensor = self.token_mixing(self.id_conv(self.token_norm(x_TBC)))
        return x_TBC + mixed_TBC

    def mix_channels(self, x_TBC: Tensor) -> Tensor:
        """Return x + channel(norm(x))."""
        mixed_TBC: Tensor = self.channel_mixing(self.channel_norm(x_TBC))
        return x_TBC + mixed_TBC


class Mixer(SpeakerNet):
    """Convolution over time, Mixer blocks, attentive statistics pooling."""

    num_frames = NUM_FRAMES
    block: type[MixerBlock] = MixerBlock

    def __init__(self, **arguments: Any) -> None:
        super().__init__(EMBEDDING_DIM, arguments)
        self.project = nn.Conv1d(NUM_MELS, HIDDEN_DIM, 3, padding=1)
        self.project_norm = nn.BatchNorm1d(HIDDEN_DIM)
        self.blocks = nn.Sequential(*(self.block() for _ in range(NUM_BLOCKS)))
        self.norm = nn.LayerNorm(HIDDEN_DIM)
        self.pooling = AttentiveStatisticsPooling(HIDDEN_DIM, ATTENTION_DIM)
        self.embedding = nn.Linear(2 * HIDDEN_DIM, EMBEDDING_DIM)
        self.embedding_norm = nn.BatchNorm1d(EMBEDDING_DIM)

    def encode(self, norm_BTF: Tensor) -> Tensor:
        """Embed normalised log-mels of `NUM_FRAMES` frames."""
        x_BCT = F.relu(self.project_norm(self.project(norm_BTF.transpose(1, 2))))
        x_TBC = self.blocks(x_BCT.permute(2, 0, 1))
        emb_BD: Tensor = self.embedding_norm(self.embedding(self.pooling(self.norm(x_TBC))))
        return emb_BD
