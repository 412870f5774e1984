"""The MLP-Mixer with an LSTM in every block.

Shapes: T frames, B batch, C channels.
"""

from torch import Tensor, nn

from models.plain.mixer import HIDDEN_DIM, Mixer, MixerBlock


class HybridMixerBlock(MixerBlock):
    """Token mixing, a unidirectional LSTM as wide as the block, channel mixing."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm_norm = nn.LayerNorm(HIDDEN_DIM)
        self.lstm = nn.LSTM(HIDDEN_DIM, HIDDEN_DIM)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Apply the block; shape unchanged."""
        x_TBC = self.mix_tokens(x_TBC)
        recalled_TBC, _ = self.lstm(self.lstm_norm(x_TBC))
        return self.mix_channels(x_TBC + recalled_TBC)


class MainModel(Mixer):
    """A Mixer of hybrid blocks."""

    block = HybridMixerBlock
