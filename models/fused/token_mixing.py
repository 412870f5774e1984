"""Token mixing with norm, ID convolution and residual as one function with its own gradient.

Shapes: T frames, B batch, C channels; A crops of a chunk, Z = A * C; G groups, each with I outer
and O inner frames, N = G * O.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from models.fused.products import GradientSums, chunk_length, linear, linear_plus

# PyTorch's own backward operators, since autograd records nothing inside a `Function`.
_NORM_BACKWARD = torch.ops.aten.native_layer_norm_backward.default
_GELU_BACKWARD = torch.ops.aten.gelu_backward.grad_input


class FusedTokenMixing(Function):
    """x + down(gelu(up(id_conv(norm(x))))), where up and down are linear over groups of frames.

    Crops are processed in chunks whose inner activation stays in cache. Only the input is saved
    for the gradient: a product over the few frames of a group is so cheap for the size of its
    result that computing it again takes no longer than storing and loading it.
    There is no second derivative.
    """

    @staticmethod
    def forward(  # noqa: PLR0913 - a tensor for every parameter
        ctx: Any,
        x_TBC: Tensor,
        scale_C: Tensor,
        shift_C: Tensor,
        conv_3C: Tensor,
        conv_C: Tensor,
        up_GOI: Tensor,
        up_N: Tensor,
        down_GIO: Tensor,
        down_T: Tensor,
        eps: float,
    ) -> Tensor:
        """Return the mixed frames, (T, B, C).

        Args:
            ctx: Context that saves tensors for the gradient.
            x_TBC: The frames.
            scale_C: Weight of the norm.
            shift_C: Bias of the norm.
            conv_3C: Weight of the ID convolution.
            conv_C: Its bias.
            up_GOI: Weight of the projection over frames.
            up_N: Its bias.
            down_GIO: Weight of the projection back.
            down_T: Its bias.
            eps: Epsilon of the norm.
        """
        ctx.eps = eps
        ctx.save_for_backward(x_TBC, scale_C, shift_C, conv_3C, conv_C, up_GOI, up_N, down_GIO)
        channels, (groups, outside, _) = x_TBC.shape[2], down_GIO.shape
        up_GO1, down_GI11 = up_N.view(groups, -1, 1), down_T.view(groups, -1, 1, 1)
        y_TBC = torch.empty_like(x_TBC)
        for x_TAC, y_TAC in _chunks(len(up_N), x_TBC, y_TBC):
            # A chunk of crops is strided over frames; the views below need it in one piece.
            x_TAC = x_TAC.contiguous()
            norm_TAC, *_ = torch.native_layer_norm(x_TAC, [channels], scale_C, shift_C, ctx.eps)
            seen_GIZ = _id_conv(norm_TAC, conv_3C, conv_C).view(groups, outside, -1)
            x_GIZ = x_TAC.view(groups, outside, -1)
            y_GIAC = y_TAC.view(groups, outside, -1, channels)
            for group in range(groups):
                # Added afterwards: a bias of the product is per column, this one per row.
                inner_OZ = linear(up_GOI[group], seen_GIZ[group].t()).add_(up_GO1[group])
                sum_IZ = linear_plus(x_GIZ[group], down_GIO[group], F.gelu(inner_OZ).t())
                sum_IAC = sum_IZ.view(outside, -1, channels)
                torch.add(sum_IAC, down_GI11[group], out=y_GIAC[group])
        return y_TBC

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TBC: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the frames and of the eight parameters, summed over chunks."""
        x_TBC, scale_C, shift_C, conv_3C, conv_C, *mixing = ctx.saved_tensors
        grad_x_TBC = torch.empty_like(x_TBC)
        sums = GradientSums()
        for x_TAC, grad_TAC, grad_x_TAC in _chunks(len(mixing[1]), x_TBC, grad_TBC, grad_x_TBC):
            x_TAC, grad_TAC = x_TAC.contiguous(), grad_TAC.contiguous()
            norm_TAC, mean_TA1, rstd_TA1 = torch.native_layer_norm(
                x_TAC, x_TAC.shape[2:], scale_C, shift_C, ctx.eps
            )
            seen_TAC = _id_conv(norm_TAC, conv_3C, conv_C)
            grad_seen_TAC, *of_mixing = _mixing_gradients(seen_TAC, grad_TAC, mixing)
            grad_norm_TAC, *of_conv = _id_conv_gradients(norm_TAC, grad_seen_TAC, conv_3C)
            branch_TAC, *of_norm = _NORM_BACKWARD(
                grad_norm_TAC,
                x_TAC,
                x_TAC.shape[2:],
                mean_TA1,
                rstd_TA1,
                scale_C,
                shift_C,
                [True] * 3,
            )
            torch.add(branch_TAC, grad_TAC, out=grad_x_TAC)
            sums.add((*of_norm, *of_conv, *of_mixing))
        return grad_x_TBC, *sums.parts, None


def _chunks(inner_frames: int, *tensors_TBC: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield the same chunk of crops of several tensors of one shape."""
    _, batch, channels = tensors_TBC[0].shape
    size = chunk_length(batch, inner_frames * channels)
    return zip(*(torch.split(tensor, size, dim=1) for tensor in tensors_TBC), strict=True)


def _id_conv(x_TAC: Tensor, weight_3C: Tensor, bias_C: Tensor) -> Tensor:
    # The `+ 1` is the identity of the convolution: y = x + conv(x).
    y_TAC = torch.addcmul(bias_C, weight_3C[1] + 1, x_TAC)
    y_TAC[1:].addcmul_(weight_3C[0], x_TAC[:-1])
    y_TAC[:-1].addcmul_(weight_3C[2], x_TAC[1:])
    return y_TAC


def _id_conv_gradients(
    x_TAC: Tensor, grad_TAC: Tensor, weight_3C: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of input, weight and bias."""
    grad_x_TAC = grad_TAC * (weight_3C[1] + 1)
    grad_x_TAC[:-1].addcmul_(weight_3C[0], grad_TAC[1:])
    grad_x_TAC[1:].addcmul_(weight_3C[2], grad_TAC[:-1])
    taps = ((grad_TAC[1:], x_TAC[:-1]), (grad_TAC, x_TAC), (grad_TAC[:-1], x_TAC[1:]))
    grad_weight_3C = torch.stack([(grad * x).sum((0, 1)) for grad, x in taps])
    return grad_x_TAC, grad_weight_3C, grad_TAC.sum((0, 1))


def _mixing_gradients(
    x_TAC: Tensor, grad_TAC: Tensor, weights: list[Tensor]
) -> tuple[Tensor, ...]:
    """Return the gradients of the mixing's input, and of weight and bias of both projections."""
    up_GOI, up_N, down_GIO = weights
    groups, outside, _ = down_GIO.shape
    up_GO1 = up_N.view(groups, -1, 1)
    up_GIO, down_GOI = (w.transpose(1, 2).contiguous() for w in (up_GOI, down_GIO))
    x_GIZ, grad_GIZ = (t.view(groups, outside, -1) for t in (x_TAC, grad_TAC))
    grad_x_GIZ = torch.empty_like(x_GIZ)
    grad_up_GOI, grad_up_GO1 = torch.empty_like(up_GOI), torch.empty_like(up_GO1)
    grad_down_GIO = torch.empty_like(down_GIO)
    for group in range(groups):
        x_IZ, grad_IZ = x_GIZ[group], grad_GIZ[group]
        inner_OZ = linear(up_GOI[group], x_IZ.t()).add_(up_GO1[group])
        grad_down_GIO[group] = linear(grad_IZ, F.gelu(inner_OZ))
        grad_OZ = linear(down_GOI[group], grad_IZ.t())
        _GELU_BACKWARD(grad_OZ, inner_OZ, grad_input=grad_OZ)
        grad_up_GOI[group] = linear(grad_OZ, x_IZ)
        torch.sum(grad_OZ, 1, keepdim=True, out=grad_up_GO1[group])
        grad_x_GIZ[group] = linear(up_GIO[group], grad_OZ.t())
    grad_down_T = grad_TAC.sum((1, 2))
    return grad_x_GIZ.view_as(x_TAC), grad_up_GOI, grad_up_GO1.view(-1), grad_down_GIO, grad_down_T


def token_mixing(
    x_TBC: Tensor, norm: nn.LayerNorm, id_conv: nn.Module, up: nn.Module, down: nn.Module
) -> Tensor:
    """Return x + down(gelu(up(id_conv(norm(x))))); shape unchanged."""
    layers = (norm, id_conv, up, down)
    parameters = [parameter for layer in layers for parameter in (layer.weight, layer.bias)]
    return FusedTokenMixing.apply(x_TBC.contiguous(), *parameters, norm.eps)  # type: ignore[no-any-return, no-untyped-call]
