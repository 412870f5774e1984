"""Single layers as functions with their own gradients, for the CPU; no second derivatives.

Shapes: N rows, I inputs, O outputs, G groups; T frames, B batch, C channels.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from models.fused.products import linear

# PyTorch's own backward operators, since autograd records nothing inside a `Function`.
_TANH_BACKWARD = torch.ops.aten.tanh_backward.default
_THRESHOLD_BACKWARD = torch.ops.aten.threshold_backward.grad_input


def _weight_gradient(grad_NO: Tensor, x_NI: Tensor) -> Tensor:
    """Return the gradient of a linear layer's weight, (O, I)."""
    # The first matrix is copied if it is a transposed view, so the narrower one comes first.
    if x_NI.shape[1] < grad_NO.shape[1]:
        return linear(x_NI.t(), grad_NO.t()).t()
    return linear(grad_NO.t(), x_NI.t())


class FusedLinear(Function):
    """activation(x @ weight.T + bias) with the activation `none` or `tanh`."""

    @staticmethod
    def forward(
        ctx: Any, x_NI: Tensor, weight_OI: Tensor, bias_O: Tensor, activation: str
    ) -> Tensor:
        """Return the activated product, (N, O); save it if the activation's gradient needs it."""
        y_NO = linear(x_NI, weight_OI, bias_O, activation)
        ctx.save_for_backward(x_NI, weight_OI, None if activation == "none" else y_NO)
        return y_NO

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_NO: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x (None if not needed), of the weight and of the bias."""
        x_NI, weight_OI, y_NO = ctx.saved_tensors
        if y_NO is not None:
            grad_NO = _TANH_BACKWARD(grad_NO, y_NO)
        grad_x_NI = linear(grad_NO, weight_OI.t()) if ctx.needs_input_grad[0] else None
        return grad_x_NI, _weight_gradient(grad_NO, x_NI), grad_NO.sum(0), None


class FusedGroupedLinear(Function):
    """A linear map in groups: outputs of group g are x[:, g] @ weight[g] + bias[g]."""

    @staticmethod
    def forward(ctx: Any, x_NI: Tensor, weight_GIO: Tensor, bias_O: Tensor) -> Tensor:
        """Return the concatenated outputs of all groups, (N, O)."""
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
        """Return the gradients of x, of the weight and of the bias."""
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

    If they are equal, the gradient goes to the second half; PyTorch's own maximum gives half of it
    to each, at several times the cost.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return the larger half, (..., 2C) to (..., C)."""
        ctx.save_for_backward(x)
        return torch.maximum(*x.chunk(2, dim=-1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the gradient; where first - second is above 0, it goes to the first half."""
        (x,) = ctx.saved_tensors
        first, second = x.chunk(2, dim=-1)
        grad_x = torch.empty_like(x)
        grad_first, grad_second = grad_x.chunk(2, dim=-1)
        torch.sub(first, second, out=grad_first)
        _THRESHOLD_BACKWARD(grad, grad_first, 0, grad_input=grad_first)
        torch.sub(grad, grad_first, out=grad_second)
        return grad_x


class FusedStatistics(Function):
    """Mean and standard deviation over time, weighted by the softmax over time of the scores.

    With w = softmax(score): mean = sum(w * x) and
    deviation = sqrt(max(sum(w * x^2) - mean^2, floor)).
    """

    @staticmethod
    def forward(
        ctx: Any, x_TBC: Tensor, score_TBC: Tensor, floor: float
    ) -> tuple[Tensor, Tensor]:
        """Return mean and deviation, both (B, C)."""
        weight_TBC = torch.softmax(score_TBC, dim=0)
        product_TBC = weight_TBC * x_TBC
        mean_BC = product_TBC.sum(dim=0)
        variance_BC = product_TBC.mul_(x_TBC).sum(dim=0) - mean_BC.square()
        deviation_BC = variance_BC.clamp(min=floor).sqrt()
        ctx.floor = floor
        ctx.save_for_backward(x_TBC, weight_TBC, mean_BC, variance_BC, deviation_BC)
        return mean_BC, deviation_BC

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_mean_BC: Tensor, grad_deviation_BC: Tensor
    ) -> tuple[Tensor, Tensor, None]:
        """Return the gradients of frames and scores.

        With the variance v = sum(w * x^2) - mean^2 and the mean m the gradient of w is
        x * (a + v' * x) and that of x is w * (a + 2 * v' * x), where a = m' - 2 * v' * m.
        """
        x_TBC, weight_TBC, mean_BC, variance_BC, deviation_BC = ctx.saved_tensors
        # Below the floor the clamp has no gradient.
        half_BC = grad_deviation_BC / (2 * deviation_BC)
        by_variance_BC = half_BC.masked_fill_(variance_BC < ctx.floor, 0)
        by_sum_BC = grad_mean_BC - 2 * by_variance_BC * mean_BC
        slope_TBC = torch.addcmul(by_sum_BC, by_variance_BC, x_TBC)
        grad_x_TBC = torch.addcmul(slope_TBC, by_variance_BC, x_TBC).mul_(weight_TBC)
        # The backward pass of a softmax subtracts the weighted mean of its gradient.
        taken_BC = by_sum_BC * mean_BC + by_variance_BC * (variance_BC + mean_BC.square())
        grad_score_TBC = slope_TBC.mul_(x_TBC).sub_(taken_BC).mul_(weight_TBC)
        return grad_x_TBC, grad_score_TBC, None
