"""Pooling layers: from frames to one vector per utterance.

Shapes: T frames, B batch, C channels.
"""

import torch
from torch import Tensor, nn

from models.fused.few_kernels import runs_few_kernels
from models.fused.layers import FusedLinear, FusedStatistics
from models.fused.products import runs_fused

# As in voxceleb_trainer's ASP: the square root has no finite gradient at 0.
VARIANCE_FLOOR = 1e-5


def at_least_float32(x: Tensor) -> Tensor:
    """Return the tensor in float32 if it is in a shorter type, else unchanged.

    With the 8 bits of bfloat16 weights over 200 frames sum to 1.001, and the difference of two
    squares that gives a variance has no digit left.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def weighted_statistics(x_TBC: Tensor, weight_TBC: Tensor) -> tuple[Tensor, Tensor]:
    """Return weighted mean and standard deviation over time, both (B, C), at least in float32.

    Args:
        x_TBC: The frames.
        weight_TBC: Weights whose sum over T is 1; may have one channel for all.
    """
    x_TBC, weight_TBC = at_least_float32(x_TBC), at_least_float32(weight_TBC)
    mean_BC = (weight_TBC * x_TBC).sum(dim=0)
    # One pass over the frames; rounding can make it slightly negative, which the floor repairs.
    variance_BC = (weight_TBC * x_TBC.square()).sum(dim=0) - mean_BC.square()
    return mean_BC, variance_BC.clamp(min=VARIANCE_FLOOR).sqrt()


def statistics_over_time(x_TBC: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation over time, both (B, C), at least in float32."""
    # Rounded to bfloat16 before they are summed, these weights would not sum to 1.
    even = torch.full_like(at_least_float32(x_TBC[:, :1, :1]), 1.0 / x_TBC.shape[0])
    return weighted_statistics(x_TBC, even)


class Attention(nn.Sequential):
    """Attention scores of frames before the softmax: linear, tanh, linear."""

    def __init__(self, seen: int, attention_dim: int, channels: int) -> None:
        super().__init__(
            nn.Linear(seen, attention_dim), nn.Tanh(), nn.Linear(attention_dim, channels)
        )

    def forward(self, seen_TBC: Tensor) -> Tensor:
        """Return the scores, (T, B, seen) to (T, B, C)."""
        first, _, second = self
        # Quantised or parametrised layers have no plain weight, which the fused form needs.
        if not (type(first) is type(second) is nn.Linear and runs_fused(seen_TBC)):
            return super().forward(seen_TBC)  # type: ignore[no-any-return, no-untyped-call]
        x_ZC = seen_TBC.reshape(-1, seen_TBC.shape[-1])
        for layer, activation in ((first, "tanh"), (second, "none")):
            x_ZC = FusedLinear.apply(x_ZC, layer.weight, layer.bias, activation)  # type: ignore[no-untyped-call]
        return x_ZC.view(*seen_TBC.shape[:-1], -1)


class AttentiveStatisticsPooling(nn.Module):
    """Attention-weighted mean and standard deviation over time.

    Source: Okabe et al., "Attentive Statistics Pooling for Deep Speaker Embedding",
    Interspeech 2018; one weight per channel and frame, as in ECAPA-TDNN. With context, the
    attention also sees mean and deviation of the whole crop with each frame, as in that paper.
    """

    def __init__(self, channels: int, attention_dim: int, *, with_context: bool = False) -> None:
        super().__init__()
        self.with_context = with_context
        self.attention = Attention((1 + 2 * with_context) * channels, attention_dim, channels)

    def extra_repr(self) -> str:
        """Return whether the attention sees the whole crop."""
        return f"with_context={self.with_context}"

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Pool (T, B, C) to (B, 2C): the means, then the standard deviations."""
        seen_TBC = x_TBC
        if self.with_context:
            context = (
                part.to(x_TBC.dtype).expand_as(x_TBC) for part in statistics_over_time(x_TBC)
            )
            seen_TBC = torch.cat((x_TBC, *context), dim=-1)
        score_TBC = self.attention(seen_TBC)
        if runs_fused(x_TBC) or runs_few_kernels(x_TBC):
            parts = at_least_float32(x_TBC), at_least_float32(score_TBC)
            fused = FusedStatistics.apply(*parts, VARIANCE_FLOOR)  # type: ignore[no-untyped-call]
            return torch.cat(fused, dim=-1)
        weight_TBC = torch.softmax(at_least_float32(score_TBC), dim=0)
        return torch.cat(weighted_statistics(x_TBC, weight_TBC), dim=-1)


class FrameAttentivePooling(nn.Module):
    """Mean over time with one attention weight per frame, and optionally the deviation.

    Source: Cai et al., "Exploring the Encoding Layer and Loss Function in End-to-End Speaker and
    Language Recognition System", Odyssey 2018 (SAP); with the deviation it is the ASP of
    voxceleb_trainer.
    """

    def __init__(self, channels: int, *, with_deviation: bool) -> None:
        super().__init__()
        self.with_deviation = with_deviation
        self.project = nn.Linear(channels, channels)
        self.attention = nn.Parameter(torch.empty(channels, 1))
        # As in voxceleb_trainer.
        nn.init.xavier_normal_(self.attention)

    def extra_repr(self) -> str:
        """Return whether the output includes the deviation."""
        return f"with_deviation={self.with_deviation}"

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Pool (T, B, C) to (B, C), or (B, 2C) with the deviations after the means."""
        score_TB1 = torch.tanh(self.project(x_TBC)) @ self.attention
        weight_TB1 = torch.softmax(at_least_float32(score_TB1), dim=0)
        mean_BC, deviation_BC = weighted_statistics(x_TBC, weight_TB1)
        return torch.cat((mean_BC, deviation_BC), dim=-1) if self.with_deviation else mean_BC
