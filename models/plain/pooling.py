"""Pooling with one attention weight per channel and frame.

Shapes: T frames, B batch, C channels.
"""

import torch
from torch import Tensor, nn

from models.pooling import at_least_float32, weighted_statistics


class AttentiveStatisticsPooling(nn.Module):
    """Attention-weighted mean and standard deviation over time.

    With context, the attention also sees mean and deviation of the whole crop with each frame.
    """

    def __init__(self, channels: int, attention_dim: int, *, with_context: bool = False) -> None:
        super().__init__()
        self.with_context = with_context
        self.attention = nn.Sequential(
            nn.Linear((1 + 2 * with_context) * channels, attention_dim),
            nn.Tanh(),
            nn.Linear(attention_dim, channels),
        )

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Pool (T, B, C) to (B, 2C): the means, then the standard deviations."""
        seen_TBC = x_TBC
        if self.with_context:
            even = torch.full_like(at_least_float32(x_TBC[:, :1, :1]), 1.0 / x_TBC.shape[0])
            statistics = weighted_statistics(x_TBC, even)
            context = (part.to(x_TBC.dtype).expand_as(x_TBC) for part in statistics)
            seen_TBC = torch.cat((x_TBC, *context), dim=-1)
        weight_TBC = torch.softmax(at_least_float32(self.attention(seen_TBC)), dim=0)
        return torch.cat(weighted_statistics(x_TBC, weight_TBC), dim=-1)
