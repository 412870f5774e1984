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

    The notes' sketch has the three in sequence. Here the LSTM has a norm before it and a residual
    around it, like both mixings, since a deep stack needs residuals. The sketch's Max-Feature-Map
    is the one inside the channel mixing: between LSTM and mixing it would halve the channels.
    """

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        self.lstm_norm = nn.LayerNorm(config.hidden_dim)
        self.lstm = nn.LSTM(config.hidden_dim, config.hidden_dim)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Apply the block; shape unchanged."""
        x_TBC = self.mix_tokens(x_TBC)
        recalled_TBC, _ = self.lstm(self.lstm_norm(x_TBC))
        return self.mix_channels(x_TBC + recalled_TBC)


class MLPMixerHybrid(MLPMixerSpeaker):
    """A Mixer of hybrid blocks; stages and pooling are those of the plain Mixer."""

    def __init__(self, config: MLPMixerHybridConfig) -> None:
        super().__init__(config, HybridMixerBlock)
