"""Building blocks of the Mixer, in the layout (T frames, B batch, C channels).

Frames first makes both mixings plain matrix products on contiguous memory: channel mixing sees
T*B rows of C, token mixing sees T rows of B*C. No transpose is needed between them.
"""

import math

import torch
from torch import Tensor, nn

from models.fused.few_kernels import (
    FewKernelIDConv,
    FewKernelTokenLinear,
    autocast_dtype,
    runs_few_kernels,
)
from models.fused.layers import FusedGroupedLinear, FusedMaximum
from models.fused.products import runs_fused


def uniform_(parameter: Tensor, fan_in: int) -> None:
    """Fill a parameter from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as PyTorch's linear layers do."""
    bound = 1.0 / math.sqrt(fan_in)
    nn.init.uniform_(parameter, -bound, bound)


class IDConv(nn.Module):
    """Identity-enhanced depthwise convolution over time (notes, "ID Convolution").

    y[t] = x[t] + bias + sum_k weight[k] * x[t + k - 1], kernel 3, zeros beyond the edges.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3, channels))
        self.bias = nn.Parameter(torch.empty(channels))
        uniform_(self.weight, 3)
        uniform_(self.bias, 3)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Filter each channel separately; shape unchanged."""
        if runs_few_kernels(x_TBC):
            return FewKernelIDConv.apply(  # type: ignore[no-any-return, no-untyped-call]
                x_TBC, self.weight, self.bias, autocast_dtype(x_TBC)
            )
        padded = nn.functional.pad(x_TBC, (0, 0, 0, 0, 1, 1))
        # Fused multiply-adds, since products that are added afterwards would each be a full
        # tensor in memory.
        y_TBC = torch.addcmul(self.bias + x_TBC, self.weight[1], x_TBC)
        y_TBC = torch.addcmul(y_TBC, self.weight[0], padded[:-2])
        return torch.addcmul(y_TBC, self.weight[2], padded[2:])


class MaxFeatureMap(nn.Module):
    """Element-wise maximum of the two halves of the last dimension (notes, "MFM")."""

    def forward(self, x: Tensor) -> Tensor:
        """Take the larger half, (..., 2C) to (..., C)."""
        if runs_fused(x) or runs_few_kernels(x):
            return FusedMaximum.apply(x)  # type: ignore[no-any-return, no-untyped-call]
        first, second = x.chunk(2, dim=-1)
        return torch.maximum(first, second)


class GroupedTokenLinear(nn.Module):
    """A linear map over frames in groups of neighbouring frames (notes, "Grouped Projections").

    The same as Conv1d(in_frames, out_frames, 1, groups) with the frames as channels.
    """

    def __init__(self, in_frames: int, out_frames: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(groups, out_frames // groups, in_frames // groups))
        self.bias = nn.Parameter(torch.empty(out_frames))
        uniform_(self.weight, in_frames // groups)
        uniform_(self.bias, in_frames // groups)

    def extra_repr(self) -> str:
        """Return the groups as text, for printing and for the fingerprint of the model."""
        return f"groups={self.groups}"

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Map (in_frames, B, C) to (out_frames, B, C)."""
        _, batch, channels = x_TBC.shape
        # Frames come first, so a group is a contiguous slice and this is a view.
        x_GIZ = x_TBC.reshape(self.groups, -1, batch * channels)
        if runs_few_kernels(x_TBC):
            y_GOZ = FewKernelTokenLinear.apply(  # type: ignore[no-untyped-call]
                x_GIZ, self.weight, self.bias, autocast_dtype(x_TBC)
            )
            return y_GOZ.reshape(-1, batch, channels)  # type: ignore[no-any-return]
        bias_GO1 = self.bias.view(self.groups, -1, 1)
        return torch.baddbmm(bias_GO1, self.weight, x_GIZ).reshape(-1, batch, channels)


class GroupedLinear(nn.Module):
    """A linear map over channels in groups; the same as Conv1d(..., 1, groups) over channels."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(
            torch.empty(groups, in_channels // groups, out_channels // groups)
        )
        self.bias = nn.Parameter(torch.empty(out_channels))
        uniform_(self.weight, in_channels // groups)
        uniform_(self.bias, in_channels // groups)

    def extra_repr(self) -> str:
        """Return the groups as text, for printing and for the fingerprint of the model."""
        return f"groups={self.groups}"

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_channels) to (..., out_channels)."""
        if runs_fused(x, num_products=self.groups):
            y_ZO = FusedGroupedLinear.apply(x.reshape(-1, x.shape[-1]), self.weight, self.bias)  # type: ignore[no-untyped-call]
            return y_ZO.view(*x.shape[:-1], -1)  # type: ignore[no-any-return]
        x_GZI = x.reshape(-1, self.groups, x.shape[-1] // self.groups).transpose(0, 1)
        y_GZO = torch.bmm(x_GZI, self.weight)
        return y_GZO.transpose(0, 1).reshape(*x.shape[:-1], -1) + self.bias
