"""ECAPA-TDNN.

Shapes: B batch, C channels, T frames, F mel bins, D embedding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.ecapa_tdnn import DILATIONS, ConvBlock, SERes2Block
from models.frontend import NUM_MELS
from models.plain.pooling import AttentiveStatisticsPooling
from models.plain.speaker_net import SpeakerNet

EMBEDDING_DIM = 192
CHANNELS = 512
AGGREGATION_DIM = 1536
BOTTLENECK_DIM = 128


class MainModel(SpeakerNet):
    """Three SE-Res2Blocks, their outputs aggregated, attentive statistics pooling with context."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(EMBEDDING_DIM, arguments)
        self.project = ConvBlock(NUM_MELS, CHANNELS, 5)
        self.blocks = nn.ModuleList(
            SERes2Block(CHANNELS, BOTTLENECK_DIM, dilation) for dilation in DILATIONS
        )
        self.aggregate = nn.Conv1d(len(DILATIONS) * CHANNELS, AGGREGATION_DIM, 1)
        self.pooling = AttentiveStatisticsPooling(
            AGGREGATION_DIM, BOTTLENECK_DIM, with_context=True
        )
        self.pooling_norm = nn.BatchNorm1d(2 * AGGREGATION_DIM)
        self.embedding = nn.Linear(2 * AGGREGATION_DIM, EMBEDDING_DIM)
        self.embedding_norm = nn.BatchNorm1d(EMBEDDING_DIM)

    def encode(self, norm_BTF: Tensor) -> Tensor:
        """Embed normalised log-mels; a block's input is the sum of all earlier outputs."""
        sum_BCT = self.project(norm_BTF.transpose(1, 2))
        levels: list[Tensor] = []
        for block in self.blocks:
            levels.append(sum_BCT + block(sum_BCT))
            sum_BCT = sum_BCT + levels[-1]
        level_BCT = F.relu(self.aggregate(torch.cat(levels, dim=1)))
        pooled_BC = self.pooling_norm(self.pooling(level_BCT.permute(2, 0, 1)))
        emb_BD: Tensor = self.embedding_norm(self.embedding(pooled_BC))
        return emb_BD
