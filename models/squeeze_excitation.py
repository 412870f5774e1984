"""Channel gates computed from the whole crop.

Shapes: B batch, C channels.
"""

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Multiplies each channel by a gate in (0, 1) computed from the means of all channels.

    Source: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018.
    """

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Gate (B, C, ...), shape unchanged; the means are over all dimensions after C."""
        gate_BC = self.gate(x.flatten(2).mean(dim=2))
        return x * gate_BC.reshape(gate_BC.shape + (1,) * (x.ndim - 2))  # type: ignore[no-any-return]
