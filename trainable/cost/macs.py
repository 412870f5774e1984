"""The multiply-accumulates of a model's forward pass.

Counted: matrix products, convolutions and what is made of them (LSTM gates, attention). Not
counted: element-wise work, norms, softmax, and the front end.

The count runs on PyTorch's meta device, where an LSTM is split into some ten operators per frame,
which takes seconds to run through. No value is computed there, so no frame has to wait for the
previous one: `ParallelLSTM` runs the same products and element-wise operators on all frames at
once. It costs as much, and keeps as much for the backward pass, but its output is not an LSTM's.

Shapes: T frames, B batch, C channels, H hidden units.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(model: nn.Module, shape: tuple[int, ...], method: str = "forward") -> int:
    """Count the multiply-accumulates of one pass of the model, in its current mode.

    Nothing is computed if the model's code can run on the meta device; otherwise it runs on the
    CPU.

    Args:
        model: A copy is run; the model itself does not change.
        shape: Shape of the input; for the cost of one utterance (1, frames, mel bins).
        method: Name of the method that is called with the input.
    """
    try:
        return _counted(model, shape, method, torch.device("meta"))
    except (NotImplementedError, RuntimeError):  # the model's code reads values
        return _counted(model, shape, method, torch.device("cpu"))


def _counted(
    model: nn.Module, shape: tuple[int, ...], method: str, device: torch.device
) -> int:
    # On the CPU oneDNN runs a whole LSTM as one operator that FlopCounterMode does not know, and
    # counts as 0. The replacement has the same products.
    copied = with_parallel_lstms(copy.deepcopy(model).to(device))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        getattr(copied, method)(torch.zeros(shape, device=device))
    # PyTorch counts a multiply-accumulate as two floating-point operations.
    return int(counter.get_total_flops()) // 2


class ParallelLSTM(nn.Module):
    """Replaces an LSTM on the meta device; its parameters are the LSTM's.

    Args:
        lstm: An LSTM without projection of the hidden state.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(self, x: Tensor, state: object = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return tensors with the shapes of the LSTM's output; the state is ignored."""
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
    """Replace every LSTM in a model by a `ParallelLSTM`, in place; skip those with projections.

    Returns:
        The model, or the replacement if the model is itself an LSTM.
    """
    if isinstance(model, nn.LSTM):
        return model if model.proj_size else ParallelLSTM(model)
    if not isinstance(model, ParallelLSTM):
        for name, child in model.named_children():
            setattr(model, name, with_parallel_lstms(child))
    return model


def _layer(x_TBC: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Run one layer in one direction; return hidden and cell states, (T, B, H) each."""
    in_weight, hidden_weight, *biases = weights
    num_hidden = hidden_weight.shape[1]
    in_bias, hidden_bias = biases or (None, None)
    # The previous frame's states: any tensors of that shape will do, since no value is computed.
    h_TBH, c_TBH = (x_TBC.new_empty((*x_TBC.shape[:-1], num_hidden)) for _ in range(2))
    gates_TBH4 = nn.functional.linear(x_TBC, in_weight, in_bias)
    gates_TBH4 = gates_TBH4 + nn.functional.linear(h_TBH, hidden_weight, hidden_bias)
    i, f, g, o = gates_TBH4.chunk(4, dim=-1)
    c_TBH = f.sigmoid() * c_TBH + i.sigmoid() * g.tanh()
    return o.sigmoid() * c_TBH.tanh(), c_TBH
