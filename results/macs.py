"""Multiply-accumulates of a model.

Counted: matrix products, convolutions and what is made of them (LSTM gates, attention). Not
counted: element-wise work, norms, softmax, and the front end.
"""

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from trainable.cost.macs import with_parallel_lstms


def count_macs(model: nn.Module, shape: tuple[int, ...], method: str = "forward") -> int:
    """Multiply-accumulates of one pass of the model, in the mode that it is in.

    Args:
        model: Stays as it is.
        shape: The input's; for the cost of one utterance (1, frames, mel bins).
        method: What is called with the input.

    Nothing is computed where the model's code lets it run on the meta device.
    """
    try:
        return _counted(model, shape, method, torch.device("meta"))
    except (NotImplementedError, RuntimeError):  # its code reads values: it must be computed
        return _counted(model, shape, method, torch.device("cpu"))


def _counted(
    model: nn.Module, shape: tuple[int, ...], method: str, device: torch.device
) -> int:
    # On the CPU oneDNN runs a whole LSTM as one operator that the counter does not know (it would
    # count 0); the stand-in has the same products.
    copied = with_parallel_lstms(copy.deepcopy(model).to(device))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        getattr(copied, method)(torch.zeros(shape, device=device))
    return int(counter.get_total_flops()) // 2
