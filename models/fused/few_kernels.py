"""Layers of the Mixer in few operators for a GPU, with their own gradients.

A small student on a large GPU waits for its kernels to be started, and a small GPU for its memory:
PyTorch's own gradients of these layers take two to four times as many operators and bytes.
Under autocast a layer's first tensor is cast once, and its parameters inside the kernels.

There are no second derivatives.

Shapes: T frames, B batch, C channels; G groups, each with I inputs and O outputs, N = G * O,
Z = B * C.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

# A GPU, and the device on which the memory of a step there is estimated.
DEVICES = ("cuda", "meta")


def runs_few_kernels(x: Tensor) -> bool:
    """Return whether a layer uses its form for a GPU for this input.

    Compilation and tracing need PyTorch's own operators, of which they make their own kernels.

    Args:
        x: The input.
    """
    return (
        x.device.type in DEVICES
        and not torch.compiler.is_compiling()
        and torch._C._get_tracing_state() is None
    )


def autocast_dtype(x: Tensor) -> torch.dtype:
    """Return the type in which autocast lets a layer compute, or the input's without autocast."""
    device_type = x.device.type
    # Autocast knows no meta device, and asking for it there is an error.
    if device_type == "meta" or not torch.is_autocast_enabled(device_type):
        return x.dtype
    return torch.get_autocast_dtype(device_type)


class FewKernelIDConv(Function):
    """y[t] = x[t] + bias + sum_k weight[k] * x[t + k - 1], with zeros beyond the edges."""

    @staticmethod
    def forward(
        ctx: Any, x_TBC: Tensor, weight_3C: Tensor, bias_C: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Return the filtered frames, (T, B, C), in this type."""
        # The identity of the convolution; in float32, since a sum with 1 has few digits in halves.
        middle_C = weight_3C[1] + 1
        ctx.save_for_backward(x_TBC, weight_3C, middle_C)
        y_TBC = torch.empty_like(x_TBC, dtype=dtype)
        # With `out`, a kernel casts what it reads and what it writes.
        torch.addcmul(bias_C, middle_C, x_TBC, out=y_TBC)
        y_TBC[1:].addcmul_(weight_3C[0], x_TBC[:-1])
        y_TBC[:-1].addcmul_(weight_3C[2], x_TBC[1:])
        return y_TBC

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TBC: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of frames, weight and bias."""
        x_TBC, weight_3C, middle_C = ctx.saved_tensors
        grad_x_TBC = torch.empty_like(x_TBC)
        torch.mul(grad_TBC, middle_C, out=grad_x_TBC)
        grad_x_TBC[:-1].addcmul_(weight_3C[0], grad_TBC[1:])
        grad_x_TBC[1:].addcmul_(weight_3C[2], grad_TBC[:-1])
        grad_weight_3C = torch.empty_like(weight_3C)
        taps = ((grad_TBC[1:], x_TBC[:-1]), (grad_TBC, x_TBC), (grad_TBC[:-1], x_TBC[1:]))
        for (grad, x), grad_weight_C in zip(taps, grad_weight_3C, strict=True):
            torch.sum(grad * x, (0, 1), out=grad_weight_C)
        return grad_x_TBC, grad_weight_3C, grad_TBC.sum((0, 1), dtype=weight_3C.dtype), None


class FewKernelTokenLinear(Function):
    """A linear map over frames in groups: outputs of group g are weight[g] @ x[g] + bias[g]."""

    @staticmethod
    def forward(
        ctx: Any, x_GIZ: Tensor, weight_GOI: Tensor, bias_N: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Return the outputs, (G, O, Z), in this type."""
        ctx.bias_dtype = bias_N.dtype
        x_GIZ, weight_GOI = x_GIZ.to(dtype), weight_GOI.to(dtype)
        ctx.save_for_backward(x_GIZ, weight_GOI)
        return torch.baddbmm(bias_N.to(dtype).view(len(weight_GOI), -1, 1), weight_GOI, x_GIZ)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_GOZ: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, weight and bias."""
        x_GIZ, weight_GOI = ctx.saved_tensors
        grad_x_GIZ = torch.bmm(weight_GOI.mT, grad_GOZ)
        grad_weight_GOI = torch.bmm(grad_GOZ, x_GIZ.mT)
        grad_bias_N = grad_GOZ.sum(2, dtype=ctx.bias_dtype).flatten()
        return grad_x_GIZ, grad_weight_GOI, grad_bias_N, None
