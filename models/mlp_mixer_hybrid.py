"""The MLP-Mixer with an LSTM in every block (notes, "4A").

Shapes: T frames, B batch, C channels.
"""

from typing import Literal

from torch import Tensor, nn

from models.mlp_mixer import MixerBlock, MixerConfig, MLPMixerSpeaker


class MLPMixerHybridConfig(MixerConfig):
    """Size of a hybrid; 4.45M parameters at the defaults."""

    family: Literal["mlp_mixer_hybrid"] = "mlp_mixer_hybrid"


class HybridMixerBlock(MixerBlock):
    """Token mixing, a unidirectional LSTM as wide as the block, channel mixing.

    The notes' sketch has the three in a row. Here the LSTM is normalised before and added to its
    input, as the mixings are, since a deep stack needs the residuals; the sketch's Max-Feature-Map
    is the one inside the channel mixing, as it would halve the channels between the two.
    """

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        self.lstm_norm = nn.LayerNorm(config.hidden_dim)
        self.lstm = nn.LSTM(config.hidden_dim, config.hidden_dim)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """One block; shape unchanged."""
        x_TBC = self.mix_tokens(x_TBC)
        recalled_TBC, _ = self.lstm(self.lstm_norm(x_TBC))
        return self.mix_channels(x_TBC + recalled_TBC)


class MLPMixerHybrid(MLPMixerSpeaker):
    """The Mixer of hybrid blocks; stages and pooling are the plain Mixer's."""

    block = HybridMixerBlock
