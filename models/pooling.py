"""Frames to one vector an utterance.

Shapes: T frames, B batch, C channels.
"""

import torch
from torch import Tensor, nn

VARIANCE_FLOOR = 1e-5


class AttentiveStatisticsPooling(nn.Module):
    """Attention-weighted mean and standard deviation over time.

    Source: Okabe et al., "Attentive Statistics Pooling for Deep Speaker Embedding",
    Interspeech 2018; one weight a channel and frame, as ECAPA-TDNN and the trainer have it.
    """

    def __init__(self, channels: int, attention_dim: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.Linear(channels, attention_dim), nn.Tanh(), nn.Linear(attention_dim, channels)
        )

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Pool (T, B, C) to (B, 2C): the means, then the standard deviations."""
        weight_TBC = torch.softmax(self.attention(x_TBC), dim=0)
        mean_BC = (weight_TBC * x_TBC).sum(dim=0)
        variance_BC = (weight_TBC * x_TBC.square()).sum(dim=0) - mean_BC.square()
        return torch.cat((mean_BC, variance_BC.clamp(min=VARIANCE_FLOOR).sqrt()), dim=-1)
