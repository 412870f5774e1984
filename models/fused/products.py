"""Matrix products on the CPU through oneDNN, and the rule for when the fused layers run.

PyTorch sends float32 products to MKL, which on AMD processors reaches about half the speed of
oneDNN, the library that PyTorch includes for its convolutions. oneDNN can also add to a product or
apply an activation while it writes the result.

Shapes: N rows, I inputs, O outputs.
"""

import math
import platform
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

# A thread's share of the inner activation of a chunk; larger chunks leave the cache, smaller ones
# pay for more calls.
CHUNK_BYTES_PER_THREAD = 4 << 20
# For fewer numbers the calls of the fused form cost more than they save.
MIN_NUMBERS = 1 << 15
# On processors other than x86 PyTorch's own product may be faster; this was not measured.
_USES_ONEDNN = torch._C._has_mkldnn and platform.machine() in {"x86_64", "AMD64"}


def runs_fused(x: Tensor, *, num_products: int = 1) -> bool:
    """Return whether a layer uses its fused form for this input, not PyTorch's own operators.

    The fused form runs only on the CPU, in float32 or float64. It gives way to autocast, which
    chooses a type for every operator, and to export, compilation and dispatch modes (which count
    operators), since these need operators that they know. Small input is left to PyTorch too.

    Args:
        x: The input.
        num_products: Number of products into which the layer splits its work.
    """
    # In this order: in a trace, the number of elements would become a traced tensor.
    return (
        not torch.compiler.is_compiling()
        and torch._C._get_tracing_state() is None
        and _get_current_dispatch_mode() is None
        and x.device.type == "cpu"
        and x.dtype in {torch.float32, torch.float64}
        and not torch.is_autocast_enabled("cpu")
        and x.numel() // num_products >= MIN_NUMBERS
    )


def chunk_length(length: int, floats_each: int) -> int:
    """Return how many of `length` crops or rows a fused layer processes at a time.

    As many as keep a thread's share of one inner activation in its cache, in chunks of about the
    same length. Depends only on the sizes and the number of threads, so that a run repeated on
    the same number of threads adds in the same order.

    Args:
        length: Total number of crops or rows, at least 1.
        floats_each: Size of the inner activation of one of them.
    """
    fitting = CHUNK_BYTES_PER_THREAD * torch.get_num_threads() // (4 * floats_each)
    return math.ceil(length / math.ceil(length / max(1, fitting)))


def linear(
    x_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None, activation: str = "none"
) -> Tensor:
    """Return activation(x @ weight.T + bias), (N, O), without gradient.

    Either matrix may be a transposed view, so this can compute any product of two matrices. The
    activation is `none`, `relu` or `tanh`.
    """
    # oneDNN multiplies no float64, which gradient checks use.
    if _USES_ONEDNN and x_NI.dtype == torch.float32:
        product = torch.ops.mkldnn._linear_pointwise.default
        return product(x_NI, weight_OI, bias_O, activation, [], "")  # type: ignore[no-any-return]
    y_NO = F.linear(x_NI, weight_OI, bias_O)
    return y_NO if activation == "none" else getattr(torch, activation)(y_NO)


def linear_plus(
    other_NO: Tensor, x_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None
) -> Tensor:
    """Return other + x @ weight.T + bias, (N, O), without gradient."""
    if _USES_ONEDNN and x_NI.dtype == torch.float32:
        product = torch.ops.mkldnn._linear_pointwise.binary
        return product(x_NI, other_NO, weight_OI, bias_O, "add")  # type: ignore[no-any-return]
    return other_NO + F.linear(x_NI, weight_OI, bias_O)


class GradientSums:
    """Sums of the gradients of several chunks, accumulated in place in the first chunk's."""

    def __init__(self) -> None:
        self.parts: tuple[Tensor, ...] = ()

    def add(self, parts: Sequence[Tensor]) -> None:
        """Add the gradients of a chunk, in the same order as those of the first chunk."""
        if not self.parts:
            self.parts = tuple(parts)
        else:
            for total, part in zip(self.parts, parts, strict=True):
                total.add_(part)
