"""The MLP-Mixer for crops of any length: its token mixing is a convolution.

Shapes: T frames, B batch, C channels, F mel bins, D embedding.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from models.frontend import NUM_MELS
from models.mlp_mixer import ATTENTION_DIM
from models.mlp_mixer_free import TimeConv
from models.plain.mixer import EMBEDDING_DIM, HIDDEN_DIM, NUM_BLOCKS, ChannelMixing
from models.plain.pooling import AttentiveStatisticsPooling
from models.plain.speaker_net import SpeakerNet

KERNEL = 51


class FreeMixerBlock(nn.Module):
    """Convolutional token mixing, then channel mixing, each with its residual."""

    def __init__(self) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(HIDDEN_DIM)
        self.up = TimeConv(HIDDEN_DIM, KERNEL)
        self.down = TimeConv(HIDDEN_DIM, KERNEL)
        self.channel_norm = nn.LayerNorm(HIDDEN_DIM)
        self.channel_mixing = ChannelMixing()

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Apply the block; shape unchanged."""
        x_TBC = x_TBC + self.down(F.gelu(self.up(self.token_norm(x_TBC))))
        mixed_TBC: Tensor = self.channel_mixing(self.channel_norm(x_TBC))
        return x_TBC + mixed_TBC


class MainModel(SpeakerNet):
    """Convolution over time, Mixer blocks, attentive statistics pooling."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(EMBEDDING_DIM, arguments)
        self.project = nn.Conv1d(NUM_MELS, HIDDEN_DIM, 3, padding=1)
        self.project_norm = nn.BatchNorm1d(HIDDEN_DIM)
        self.blocks = nn.Sequential(*(FreeMixerBlock() for _ in range(NUM_BLOCKS)))
        self.norm = nn.LayerNorm(HIDDEN_DIM)
        self.pooling = AttentiveStatisticsPooling(HIDDEN_DIM, ATTENTION_DIM)
        self.embedding = nn.Linear(2 * HIDDEN_DIM, EMBEDDING_DIM)
        self.embedding_norm = nn.BatchNorm1d(EMBEDDING_DIM)

    def encode(self, norm_BTF: Tensor) -> Tensor:
        """Embed normalised log-mels."""
        x_BCT = F.relu(self.project_norm(self.project(norm_BTF.transpose(1, 2))))
        x_TBC = self.blocks(x_BCT.permute(2, 0, 1).contiguous())
        emb_BD: Tensor = self.embedding_norm(self.embedding(self.pooling(self.norm(x_TBC))))
        return emb_BD
