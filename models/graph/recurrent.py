"""LSTM layers as one operator of ONNX; PyTorch's exporter writes an operator for every frame.

Shapes: T frames, B batch, C channels.
"""

import copy

import torch
from torch import Tensor, nn

# The version of ONNX's operators in which the graph is written.
OPSET = 18


def _in_order_of_onnx(weight: Tensor) -> Tensor:
    """Return the four gates as ONNX has them: input, output, forget, cell; with a direction."""
    gate_in, forget, cell, out = weight.detach().chunk(4)
    return torch.cat((gate_in, out, forget, cell))[None]


class OnnxLSTM(nn.Module):
    """A layer of `nn.LSTM` that can only be exported to ONNX.

    Args:
        layer: One layer, in one direction, with biases, frames first.

    Raises:
        ValueError: The layer is of another kind.
    """

    weight: Tensor
    recurrence: Tensor
    bias: Tensor

    def __init__(self, layer: nn.LSTM) -> None:
        super().__init__()
        if (
            layer.num_layers != 1
            or layer.bidirectional
            or layer.batch_first
            or not layer.bias
            or layer.proj_size
        ):
            raise ValueError(f"one LSTM layer, in one direction and frames first, got {layer}")
        self.hidden_size = layer.hidden_size
        weight, recurrence, *biases = map(_in_order_of_onnx, layer.parameters())
        self.register_buffer("weight", weight)
        self.register_buffer("recurrence", recurrence)
        self.register_buffer("bias", torch.cat(biases, dim=1))

    def forward(self, x_TBC: Tensor) -> tuple[Tensor, None]:
        """Return the outputs of all frames, and no state."""
        frames, batch, _ = x_TBC.shape
        y_T1BC = torch.onnx.ops.symbolic(
            "LSTM",
            (x_TBC, self.weight, self.recurrence, self.bias),
            attrs={"hidden_size": self.hidden_size},
            dtype=x_TBC.dtype,
            shape=(frames, 1, batch, self.hidden_size),
            version=OPSET,
        )
        return y_T1BC.squeeze(1), None


def with_onnx_lstm(network: nn.Module) -> nn.Module:
    """Return a copy of a network whose LSTM layers are operators of ONNX.

    Raises:
        ValueError: It has an LSTM of several layers, of two directions, or batch first.
    """
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.LSTM):
                setattr(module, name, OnnxLSTM(child))
    return network
