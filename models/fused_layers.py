"""Single layers as functions with gradients of their own, for the CPU; no second derivatives.

Shapes: N rows, I inputs, O outputs, G groups.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from models.products import linear

_TANH_BACKWARD = torch.ops.aten.tanh_backward.default
_THRESHOLD_BACKWARD = torch.ops.aten.threshold_backward.grad_input


class FusedLinear(Function):
    """activation(x @ weight.T + bias) with the activation `none` or `tanh`."""

    @staticmethod
    def forward(
        ctx: Any, x_NI: Tensor, weight_OI: Tensor, bias_O: Tensor, activation: str
    ) -> Tensor:
        """The activated product, (N, O), which is kept where its gradient follows from it."""
        y_NO = linear(x_NI, weight_OI, bias_O, activation)
        ctx.save_for_backward(x_NI, weight_OI, None if activation == "none" else y_NO)
        return y_NO

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_NO: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, where it needs one, of the weight and of the bias."""
        x_NI, weight_OI, y_NO = ctx.saved_tensors
        if y_NO is not None:
            grad_NO = _TANH_BACKWARD(grad_NO, y_NO)
        grad_x_NI = linear(grad_NO, weight_OI.t()) if ctx.needs_input_grad[0] else None
        return grad_x_NI, linear(grad_NO.t(), x_NI.t()), grad_NO.sum(0), None


class FusedGroupedLinear(Function):
    """Group g of the outputs is x[:, g] @ weight[g] plus its part of the bias."""

    @staticmethod
    def forward(ctx: Any, x_NI: Tensor, weight_GIO: Tensor, bias_O: Tensor) -> Tensor:
        """The outputs of all groups side by side, (N, O)."""
        ctx.save_for_backward(x_NI, weight_GIO)
        groups = len(weight_GIO)
        y_NO = x_NI.new_empty(len(x_NI), len(bias_O))
        parts = (x_NI.chunk(groups, 1), weight_GIO, bias_O.chunk(groups), y_NO.chunk(groups, 1))
        for x, weight, bias, y in zip(*parts, strict=True):
            y.copy_(linear(x, weight.t(), bias))
        return y_NO

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_NO: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of x, of the weight and of the bias."""
        x_NI, weight_GIO = ctx.saved_tensors
        groups = len(weight_GIO)
        grad_x_NI, grad_weight_GIO = torch.empty_like(x_NI), torch.empty_like(weight_GIO)
        for group in range(groups):
            x, grad, grad_x = (t.chunk(groups, 1)[group] for t in (x_NI, grad_NO, grad_x_NI))
            grad_x.copy_(linear(grad, weight_GIO[group]))
            grad_weight_GIO[group] = linear(x.t(), grad.t())
        return grad_x_NI, grad_weight_GIO, grad_NO.sum(0)


class FusedMaximum(Function):
    """The larger of the two halves of the last dimension.

    Where they are equal, the gradient goes to the second half; PyTorch's own maximum gives half
    of it to each, at several times the cost.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """(..., 2C) to (..., C)."""
        ctx.save_for_backward(x)
        return torch.maximum(*x.chunk(2, dim=-1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """The gradient where first - second is above 0 goes to the first half."""
        (x,) = ctx.saved_tensors
        first, second = x.chunk(2, dim=-1)
        grad_x = torch.empty_like(x)
        grad_first, grad_second = grad_x.chunk(2, dim=-1)
        torch.sub(first, second, out=grad_first)
        _THRESHOLD_BACKWARD(grad, grad_first, 0, grad_input=grad_first)
        torch.sub(grad, grad_first, out=grad_second)
        return grad_x
