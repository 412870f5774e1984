"""The LSTM+Autoencoder teacher.

Shapes: B batch, T frames, C channels, F mel bins, D embedding.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from models.base import ModelConfig, ModelOutput, SpeakerModel
from models.pooling import AttentiveStatisticsPooling

ATTENTION_DIM = 64


class LSTMAutoencoderConfig(ModelConfig):
    """Size of an LSTM+Autoencoder; the defaults are the notes' 3.87M parameters."""

    has_reconstruction: ClassVar[bool] = True

    family: Literal["lstm_autoencoder"] = "lstm_autoencoder"
    hidden_dim: int = Field(328, ge=8, le=4096, description="Units of an LSTM layer.")
    num_layers: int = Field(3, ge=1, le=16, description="LSTM layers.")
    bottleneck_dim: int = Field(256, ge=4, le=4096, description="Channels of the bottleneck.")


class LSTMAutoencoder(SpeakerModel):
    """Unidirectional LSTM layers, an autoencoder over frames, attentive pooling.

    The notes give the name, the 512 dimensions, the 3.87M parameters and the stages (LSTM layers,
    bottleneck, embedding), but not the architecture. Here the bottleneck is a linear layer with
    ReLU on each frame, and a two-layer decoder reconstructs the normalised log-mels from it
    (multi-task: speaker and reconstruction). The embedding is pooled from all LSTM layers and the
    bottleneck together (multi-layer aggregation, as in Desplanques et al., "ECAPA-TDNN",
    Interspeech 2020): pooled from the bottleneck only, such a model generalises clearly worse to
    new speakers.
    """

    def __init__(self, config: LSTMAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.embedding_dim
        hidden = config.hidden_dim
        # One module per layer: nn.LSTM with several layers returns only the last one's outputs,
        # and the stages need each.
        self.layers = nn.ModuleList(
            nn.LSTM(config.num_mels if i == 0 else hidden, hidden)
            for i in range(config.num_layers)
        )
        self.bottleneck = nn.Linear(hidden, config.bottleneck_dim)
        self.decoder = nn.Sequential(
            nn.Linear(config.bottleneck_dim, hidden), nn.ReLU(), nn.Linear(hidden, config.num_mels)
        )
        channels = config.num_layers * hidden + config.bottleneck_dim
        self.pooling = AttentiveStatisticsPooling(channels, ATTENTION_DIM)
        self.embedding = nn.Linear(2 * channels, config.embedding_dim)
        self.embedding_norm = nn.BatchNorm1d(config.embedding_dim)

    def encode(self, norm_BTF: Tensor, *, with_stages: bool) -> ModelOutput:
        """Embed normalised log-mels; the stages are the LSTM layers, then the bottleneck.

        The reconstruction is computed in training mode only.
        """
        x_TBC = norm_BTF.transpose(0, 1)
        levels: list[Tensor] = []
        for layer in self.layers:
            x_TBC, _ = layer(x_TBC)
            levels.append(x_TBC)
        levels.append(F.relu(self.bottleneck(x_TBC)))
        reconstruction_BTF = self.decoder(levels[-1]).transpose(0, 1) if self.training else None
        pooled_BC = self.pooling(torch.cat(levels, dim=-1))
        embedding_BD = self.embedding_norm(self.embedding(pooled_BC))
        stages = tuple(level.transpose(0, 1) for level in levels) if with_stages else ()
        return ModelOutput(embedding_BD, stages, reconstruction_BTF)
