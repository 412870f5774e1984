"""An LSTM's operators for all frames at once, for counting what it costs on the meta device.

There an LSTM is taken apart into some ten operators a frame, which takes seconds to walk through.
Where no value is computed, no frame need wait for the one before it: the same products and the
same element-wise operators, on all frames together, cost as much and keep as much for the
backward pass. What comes out is no LSTM's output.

Shapes: T frames, B batch, C channels, H hidden units.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


class ParallelLSTM(nn.Module):
    """Stands in for an LSTM on the meta device; its parameters are the LSTM's own.

    Args:
        lstm: Without projection of the hidden state.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(self, x: Tensor, state: object = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The shapes that the LSTM would give; the state is ignored."""
        del state
        lstm = self.lstm
        weights = [list(each) for each in lstm.all_weights]
        num_directions = 2 if lstm.bidirectional else 1
        x_TBC = x.transpose(0, 1) if lstm.batch_first else x
        last_h: list[Tensor] = []
        last_c: list[Tensor] = []
        for layer in range(lstm.num_layers):
            outputs = []
            for direction in range(num_directions):
                h_TBH, c_TBH = _layer(x_TBC, weights[layer * num_directions + direction])
                outputs.append(h_TBH)
                last_h.append(h_TBH[-1])
                last_c.append(c_TBH[-1])
            x_TBC = torch.cat(outputs, dim=-1) if num_directions == 2 else outputs[0]
        out = x_TBC.transpose(0, 1) if lstm.batch_first else x_TBC
        return out, (torch.stack(last_h), torch.stack(last_c))


def with_parallel_lstms(model: nn.Module) -> nn.Module:
    """The model with every LSTM in it replaced, in place, but for those that project their state.

    Returns:
        The model, or the stand-in where the model is itself an LSTM.
    """
    if isinstance(model, nn.LSTM):
        return model if model.proj_size else ParallelLSTM(model)
    if not isinstance(model, ParallelLSTM):
        for name, child in model.named_children():
            setattr(model, name, with_parallel_lstms(child))
    return model


def _layer(x_TBC: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """One layer in one direction: hidden and cell states, (T, B, H) each."""
    in_weight, hidden_weight, *biases = weights
    num_hidden = hidden_weight.shape[1]
    in_bias, hidden_bias = biases or (None, None)
    # Any tensors of the states' shape stand for the frames before.
    h_TBH, c_TBH = (x_TBC.new_empty((*x_TBC.shape[:-1], num_hidden)) for _ in range(2))
    gates_TBH4 = nn.functional.linear(x_TBC, in_weight, in_bias)
    gates_TBH4 = gates_TBH4 + nn.functional.linear(h_TBH, hidden_weight, hidden_bias)
    i, f, g, o = gates_TBH4.chunk(4, dim=-1)
    c_TBH = f.sigmoid() * c_TBH + i.sigmoid() * g.tanh()
    return o.sigmoid() * c_TBH.tanh(), c_TBH


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
