"""Channel mixing with norm and residual as one function with its own gradient.

Shapes: Z rows (frames of crops), C channels, I inner size, Y rows of a chunk.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from models.fused.products import GradientSums, chunk_length, linear, linear_plus

# PyTorch's own backward operators, since autograd records nothing inside a `Function`.
_NORM_BACKWARD = torch.ops.aten.native_layer_norm_backward.default
_THRESHOLD_BACKWARD = torch.ops.aten.threshold_backward.default


class FusedChannelMixing(Function):
    """x + down(max(first, second)), where first and second are the halves of up(norm(x)).

    The maximum is computed as second + relu(first - second). The difference is a product with the
    difference of the weights, so oneDNN does both steps while it writes a product, and the
    gradient needs no comparison of two tensors. If the halves are equal, the gradient goes to the
    second one; PyTorch's own maximum gives half of it to each.

    Rows are processed in chunks whose inner activation stays in cache. Saved for the gradient are
    the input and, for every row, relu(first - second) and the maximum; the norm is recomputed.
    There is no second derivative.
    """

    @staticmethod
    def forward(  # noqa: PLR0913 - a tensor for every parameter
        ctx: Any,
        x_ZC: Tensor,
        scale_C: Tensor,
        shift_C: Tensor,
        up_JC: Tensor,
        up_J: Tensor,
        down_CI: Tensor,
        down_C: Tensor,
        eps: float,
        keep: bool,
    ) -> Tensor:
        """Return the mixed rows, (Z, C).

        Args:
            ctx: Context that saves tensors for the gradient.
            x_ZC: The rows, contiguous.
            scale_C: Weight of the norm.
            shift_C: Bias of the norm.
            up_JC: Weight of the projection to J = 2I.
            up_J: Its bias.
            down_CI: Weight of the projection back.
            down_C: Its bias.
            eps: Epsilon of the norm.
            keep: Whether a gradient may be computed later.
        """
        channels, inner = down_CI.shape
        difference_IC, second_IC = _difference_and_second(up_JC)
        difference_I, second_I = _difference_and_second(up_J)
        size = chunk_length(len(x_ZC), inner)
        y_ZC = torch.empty_like(x_ZC)
        kept: list[Tensor] = []
        for x_YC, y_YC in zip(torch.split(x_ZC, size), torch.split(y_ZC, size), strict=True):
            norm_YC, mean_Y1, rstd_Y1 = torch.native_layer_norm(
                x_YC, [channels], scale_C, shift_C, eps
            )
            excess_YI = linear(norm_YC, difference_IC, difference_I, "relu")
            largest_YI = linear_plus(excess_YI, norm_YC, second_IC, second_I)
            # Copied, since the product of oneDNN cannot write into a given tensor.
            y_YC.copy_(linear_plus(x_YC, largest_YI, down_CI, down_C))
            if keep:
                kept += (mean_Y1, rstd_Y1, excess_YI, largest_YI)
        if keep:
            ctx.eps = eps
            ctx.size = size
            ctx.save_for_backward(x_ZC, scale_C, shift_C, up_JC, down_CI, *kept)
        return y_ZC

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_ZC: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the rows and of the six parameters, summed over the chunks."""
        x_ZC, scale_C, shift_C, up_JC, down_CI, *kept = ctx.saved_tensors
        weights = (scale_C, shift_C, *_difference_and_second(up_JC), down_CI)
        grad_x_ZC = torch.empty_like(x_ZC)
        # Contiguous, since autograd may pass an expanded tensor, as for the gradient of a sum.
        chunks = zip(
            *(torch.split(t, ctx.size) for t in (x_ZC, grad_ZC.contiguous(), grad_x_ZC)),
            zip(*[iter(kept)] * 4, strict=True),
            strict=True,
        )
        sums = GradientSums()
        for x_YC, grad_YC, grad_x_YC, kept_of_chunk in chunks:
            branch_YC, *parts = _chunk_gradients(x_YC, grad_YC, weights, kept_of_chunk, ctx.eps)
            torch.add(branch_YC, grad_YC, out=grad_x_YC)
            sums.add(parts)
        norm_C2, difference_CI, second_CI, difference_I, second_I, down_CI, down_C = sums.parts
        # By difference = first - second, the second half gets its gradient with a minus.
        up_JC = torch.cat((difference_CI.t(), (second_CI - difference_CI).t()))
        up_J = torch.cat((difference_I, second_I - difference_I))
        return grad_x_ZC, *norm_C2, up_JC, up_J, down_CI, down_C, None, None


def _difference_and_second(up: Tensor) -> tuple[Tensor, Tensor]:
    first, second = up.chunk(2)
    return first - second, second


def _chunk_gradients(
    x_YC: Tensor,
    grad_YC: Tensor,
    weights: tuple[Tensor, ...],
    kept: tuple[Tensor, ...],
    eps: float,
) -> tuple[Tensor, ...]:
    """Return the gradients of a chunk's rows, without the residual, and of the parameters."""
    scale_C, shift_C, difference_IC, second_IC, down_CI = weights
    mean_Y1, rstd_Y1, excess_YI, largest_YI = kept
    norm_YC, *_ = torch.native_layer_norm(x_YC, x_YC.shape[1:], scale_C, shift_C, eps)
    # Copied once here: both products below would otherwise copy the transposed view.
    norm_CY = norm_YC.t().contiguous()
    second_YI = linear(grad_YC, down_CI.t())
    difference_YI = _THRESHOLD_BACKWARD(second_YI, excess_YI, 0)
    grad_norm_YC = linear_plus(
        linear(difference_YI, difference_IC.t()), second_YI, second_IC.t()
    )
    grad_x_YC, grad_scale_C, grad_shift_C = _NORM_BACKWARD(
        grad_norm_YC, x_YC, x_YC.shape[1:], mean_Y1, rstd_Y1, scale_C, shift_C, [True] * 3
    )
    return (
        grad_x_YC,
        torch.stack((grad_scale_C, grad_shift_C)),
        linear(norm_CY, difference_YI.t()),
        linear(norm_CY, second_YI.t()),
        difference_YI.sum(0),
        second_YI.sum(0),
        linear(grad_YC.t(), largest_YI.t()),
        grad_YC.sum(0),
    )


def channel_mixing(x_TBC: Tensor, norm: nn.LayerNorm, up: nn.Linear, down: nn.Linear) -> Tensor:
    """Return x + down(max of the halves of up(norm(x))); shape unchanged."""
    mixed_ZC = FusedChannelMixing.apply(  # type: ignore[no-untyped-call]
        x_TBC.reshape(-1, x_TBC.shape[-1]),
        norm.weight,
        norm.bias,
        up.weight,
        up.bias,
        down.weight,
        down.bias,
        norm.eps,
        torch.is_grad_enabled(),
    )
    return mixed_ZC.view(x_TBC.shape)  # type: ignore[no-any-return]
