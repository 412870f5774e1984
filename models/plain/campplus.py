"""CAM++.

Shapes: B batch, C channels, F mel bins (reduced by strides), T frames (halved once), D embedding.
"""

from typing import Any

import torch
from torch import Tensor, nn

from models.campplus import DenseTDNN, ImageHead, rows_after_head
from models.frontend import NUM_MELS
from models.plain.speaker_net import SpeakerNet
from models.pooling import statistics_over_time

EMBEDDING_DIM = 512
GROWTH = 32


class MainModel(SpeakerNet):
    """The image head, the dense blocks, mean and deviation over time."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(EMBEDDING_DIM, arguments)
        self.head = ImageHead(GROWTH)
        self.tdnn = DenseTDNN(GROWTH * rows_after_head(NUM_MELS), GROWTH)
        self.embedding = nn.Linear(2 * self.tdnn.num_channels, EMBEDDING_DIM, bias=False)
        self.embedding_norm = nn.BatchNorm1d(EMBEDDING_DIM, affine=False)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def encode(self, norm_BTF: Tensor) -> Tensor:
        """Embed normalised log-mels."""
        levels = self.tdnn(self.head(norm_BTF))
        pooled_BC = torch.cat(statistics_over_time(levels[-1].permute(2, 0, 1)), dim=-1)
        emb_BD: Tensor = self.embedding_norm(self.embedding(pooled_BC))
        return emb_BD
