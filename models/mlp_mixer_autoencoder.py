"""The MLP-Mixer with a branch that reconstructs its input (notes, "4B").

Shapes: T frames, B batch, C channels, F mel bins, D embedding.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from models.base import ModelOutput
from models.mlp_mixer import MixerBlock, MixerConfig, MLPMixerSpeaker


class MLPMixerAutoencoderConfig(MixerConfig):
    """Size of a Mixer and its decoder; the decoder runs in training only."""

    has_reconstruction: ClassVar[bool] = True

    family: Literal["mlp_mixer_autoencoder"] = "mlp_mixer_autoencoder"
    num_decoder_blocks: int = Field(1, ge=1, le=64, description="Mixer blocks of the decoder.")


class MixerDecoder(nn.Module):
    """The Mixer reversed: embedding to channels, Mixer blocks, channels to mel bins.

    Pooling removes the frames; one learned position per frame, added to the projection of the
    embedding, restores them. At the defaults a training pass costs 17 % more (the notes expect
    15 %).
    """

    def __init__(self, config: MLPMixerAutoencoderConfig) -> None:
        super().__init__()
        self.project = nn.Linear(config.embedding_dim, config.hidden_dim)
        self.position = nn.Parameter(torch.randn(config.num_frames, 1, config.hidden_dim))
        blocks = (MixerBlock(config) for _ in range(config.num_decoder_blocks))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.to_mels = nn.Linear(config.hidden_dim, config.num_mels)

    def forward(self, embedding_BD: Tensor) -> Tensor:
        """Reconstruct the normalised log-mels, (B, T, F)."""
        x_TBC = self.blocks(self.project(embedding_BD) + self.position)
        return self.to_mels(self.norm(x_TBC)).transpose(0, 1)  # type: ignore[no-any-return]


class MLPMixerAutoencoder(MLPMixerSpeaker):
    """The plain Mixer with a decoder from its embedding to the normalised log-mels."""

    def __init__(self, config: MLPMixerAutoencoderConfig) -> None:
        super().__init__(config)
        self.decoder = MixerDecoder(config)

    def encode(self, norm_BTF: Tensor, *, with_stages: bool) -> ModelOutput:
        """Embed normalised log-mels; the reconstruction is computed in training mode only."""
        output = super().encode(norm_BTF, with_stages=with_stages)
        # Only the loss of training uses the reconstruction; it would slow every embedding down.
        if not self.training:
            return output
        return output._replace(reconstruction_BTF=self.decoder(output.embedding_BD))
