"""NeXt-TDNN.

Shapes: B batch, T frames, F mel bins, C channels, I inner channels, D embedding.
"""

from typing import Any

import torch
from torch import Tensor, nn

from models.frontend import NUM_MELS
from models.next_tdnn import ATTENTION_SHARE, NORM_EPS, NUM_STAGES, NeXtBlock, Stem
from models.plain.pooling import AttentiveStatisticsPooling
from models.plain.speaker_net import SpeakerNet

EMBEDDING_DIM = 192
CHANNELS = 128
NUM_BLOCKS = 3
LIGHT = True
KERNEL = 65
SHORT_KERNEL = 7


class MainModel(SpeakerNet):
    """Three stages of blocks, their outputs joined, attentive statistics pooling."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(EMBEDDING_DIM, arguments)
        joined = NUM_STAGES * CHANNELS
        kernels = (KERNEL,) if LIGHT else (SHORT_KERNEL, KERNEL)
        self.stem = Stem(NUM_MELS, CHANNELS)
        self.stages = nn.ModuleList(
            nn.Sequential(*(NeXtBlock(CHANNELS, kernels) for _ in range(NUM_BLOCKS)))
            for _ in range(NUM_STAGES)
        )
        self.join = nn.Linear(joined, joined)
        self.join_norm = nn.LayerNorm(joined, eps=NORM_EPS)
        self.pooling = AttentiveStatisticsPooling(joined, joined // ATTENTION_SHARE)
        self.pooling_norm = nn.BatchNorm1d(2 * joined)
        self.embedding = nn.Linear(2 * joined, EMBEDDING_DIM)
        self.embedding_norm = nn.BatchNorm1d(EMBEDDING_DIM)

    def encode(self, norm_BTF: Tensor) -> Tensor:
        """Embed normalised log-mels."""
        x_BTC = self.stem(norm_BTF)
        levels: list[Tensor] = []
        for stage in self.stages:
            x_BTC = stage(x_BTC)
            levels.append(x_BTC)
        joined_BTC = self.join_norm(self.join(torch.cat(levels, dim=-1)))
        pooled_BC = self.pooling_norm(self.pooling(joined_BTC.transpose(0, 1)))
        emb_BD: Tensor = self.embedding_norm(self.embedding(pooled_BC))
        return emb_BD
