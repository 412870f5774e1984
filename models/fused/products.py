"""Matrix products on the CPU through oneDNN, and when the fused layers may run.

PyTorch sends float32 products to MKL, which on AMD processors reaches about half the rate of
oneDNN, the library that PyTorch carries for its convolutions. oneDNN also adds to a product, or
activates it, on the way out.

Shapes: N rows, I inputs, O outputs.
"""

import math
import platform
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

CHUNK_BYTES_PER_THREAD = 4 << 20
MIN_NUMBERS = 1 << 15
# Elsewhere than on x86 PyTorch's own product may be the faster one; nobody has measured it.
_USES_ONEDNN = torch._C._has_mkldnn and platform.machine() in {"x86_64", "AMD64"}


def runs_fused(x: Tensor, *, num_products: int = 1) -> bool:
    """Whether a layer takes its fused form for this input, not PyTorch's own operators.

    On the CPU in float32 or float64 alone. Autocast chooses a type for every operator; export,
    compilation and what counts operators (a dispatch mode) need operators that they know. And
    not for little input, where the fused form's calls cost more than they save.

    Args:
        x: The input.
        num_products: Into how many the layer splits its work.
    """
    # In this order: a trace would take the number of elements for a tensor.
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
    """How many of `length` crops or rows a fused layer takes at a time.

    As many as keep a thread's share of one inner activation in its cache, in chunks of about the
    same length. Follows from sizes and the number of threads alone.

    Args:
        length: Crops or rows in all, at least 1.
        floats_each: Numbers of the inner activation that one of them has.
    """
    fitting = CHUNK_BYTES_PER_THREAD * torch.get_num_threads() // (4 * floats_each)
    return math.ceil(length / math.ceil(length / max(1, fitting)))


def linear(
    x_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None, activation: str = "none"
) -> Tensor:
    """Compute x @ weight.T + bias, (N, O), then `none`, `relu` or `tanh`; no gradient.

    Either matrix may be a transposed view, so this is any product of two matrices.
    """
    if _USES_ONEDNN and x_NI.dtype == torch.float32:
        product = torch.ops.mkldnn._linear_pointwise.default
        return product(x_NI, weight_OI, bias_O, activation, [], "")  # type: ignore[no-any-return]
    y_NO = F.linear(x_NI, weight_OI, bias_O)
    return y_NO if activation == "none" else getattr(torch, activation)(y_NO)


def linear_plus(
    other_NO: Tensor, x_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None
) -> Tensor:
    """Compute other + x @ weight.T + bias, (N, O); no gradient."""
    if _USES_ONEDNN and x_NI.dtype == torch.float32:
        product = torch.ops.mkldnn._linear_pointwise.binary
        return product(x_NI, other_NO, weight_OI, bias_O, "add")  # type: ignore[no-any-return]
    return other_NO + F.linear(x_NI, weight_OI, bias_O)


class GradientSums:
    """Sums of the gradients of several chunks; the first chunk's are added to in place."""

    def __init__(self) -> None:
        self.parts: tuple[Tensor, ...] = ()

    def add(self, parts: Sequence[Tensor]) -> None:
        """Add a chunk's gradients, in the order of the first one's."""
        if not self.parts:
            self.parts = tuple(parts)
        else:
            for total, part in zip(self.parts, parts, strict=True):
                total.add_(part)
