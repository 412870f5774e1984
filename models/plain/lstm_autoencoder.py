"""The LSTM+Autoencoder without its decoder, which only its training by Veer uses.

Shapes: B batch, T frames, C channels, F mel bins, D embedding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.frontend import NUM_MELS
from models.lstm_autoencoder import ATTENTION_DIM
from models.plain.pooling import AttentiveStatisticsPooling
from models.plain.speaker_net import SpeakerNet

EMBEDDING_DIM = 512
HIDDEN_DIM = 328
NUM_LAYERS = 3
BOTTLENECK_DIM = 256


class MainModel(SpeakerNet):
    """LSTM layers and a bottleneck; the embedding is pooled from all of them together."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(EMBEDDING_DIM, arguments)
        self.layers = nn.ModuleList(
            nn.LSTM(NUM_MELS if i == 0 else HIDDEN_DIM, HIDDEN_DIM) for i in range(NUM_LAYERS)
        )
        self.bottleneck = nn.Linear(HIDDEN_DIM, BOTTLENECK_DIM)
        channels = NUM_LAYERS * HIDDEN_DIM + BOTTLENECK_DIM
        self.pooling = AttentiveStatisticsPooling(channels, ATTENTION_DIM)
        self.embedding = nn.Linear(2 * channels, EMBEDDING_DIM)
        self.embedding_norm = nn.BatchNorm1d(EMBEDDING_DIM)

    def encode(self, norm_BTF: Tensor) -> Tensor:
        """Embed normalised log-mels."""
        x_TBC = norm_BTF.transpose(0, 1)
        levels: list[Tensor] = []
        for layer in self.layers:
            x_TBC, _ = layer(x_TBC)
            levels.append(x_TBC)
        levels.append(F.relu(self.bottleneck(x_TBC)))
        pooled_BC = self.pooling(torch.cat(levels, dim=-1))
        emb_BD: Tensor = self.embedding_norm(self.embedding(pooled_BC))
        return emb_BD
