"""The MLP-Mixer student.

Shapes: T frames, B batch, C channels, F mel bins, D embedding.
"""

from collections.abc import Callable
from typing import Any, Literal, Self

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from models.base import ModelConfig, ModelOutput, SpeakerModel
from models.fused.channel_mixing import channel_mixing
from models.fused.layers import FusedLinear
from models.fused.products import runs_fused
from models.fused.token_mixing import token_mixing
from models.layers import GroupedLinear, GroupedTokenLinear, IDConv, MaxFeatureMap
from models.pooling import AttentiveStatisticsPooling

ATTENTION_DIM = 128


class MixerSize(ModelConfig):
    """Size of a Mixer of any kind."""

    hidden_dim: int = Field(192, ge=8, le=2048, description="Channels of a frame (width).")
    num_blocks: int = Field(6, ge=1, le=64, description="Mixer blocks (depth).")
    expansion_factor: int = Field(
        3, ge=1, le=16, description="Inner size of both mixing MLPs divided by their outer size."
    )


class MixerConfig(MixerSize):
    """Size of a Mixer whose token mixing is a matrix over the frames."""

    groups: int = Field(4, ge=1, le=64, description="Groups of the grouped projections.")
    group_channel_mixing: bool = Field(
        False, description="Group the channel mixing too: about half the parameters."
    )
    num_frames: int = Field(
        200, ge=8, le=4000, description="Frames of a crop (10 ms each); token mixing fixes it."
    )

    @property
    def fixed_frames(self) -> int:
        """`num_frames`: token mixing is a matrix over the frames."""
        return self.num_frames

    @model_validator(mode="after")
    def _groups_divide(self) -> Self:
        if self.num_frames % self.groups:
            raise ValueError(
                f"num_frames must be divisible by groups, "
                f"got num_frames={self.num_frames}, groups={self.groups}"
            )
        if self.group_channel_mixing and self.hidden_dim % self.groups:
            raise ValueError(
                f"with group_channel_mixing, hidden_dim must be divisible by groups, "
                f"got hidden_dim={self.hidden_dim}, groups={self.groups}"
            )
        return self


class MLPMixerConfig(MixerConfig):
    """The notes' student; the defaults are their 2.66M parameters."""

    family: Literal["mlp_mixer"] = "mlp_mixer"


class TokenMixing(nn.Module):
    """Two grouped linear maps over the frames with GELU between them."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__()
        inner = config.num_frames * config.expansion_factor
        self.up = GroupedTokenLinear(config.num_frames, inner, config.groups)
        self.down = GroupedTokenLinear(inner, config.num_frames, config.groups)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Mix over frames; shape unchanged."""
        return self.down(F.gelu(self.up(x_TBC)))  # type: ignore[no-any-return]


class ChannelMixing(nn.Module):
    """Linear, Max-Feature-Map, linear over the channels; both linear layers may be grouped."""

    def __init__(self, size: MixerSize, groups: int | None) -> None:
        super().__init__()
        width, inner = size.hidden_dim, size.hidden_dim * size.expansion_factor
        if groups is not None:
            self.up: nn.Module = GroupedLinear(width, 2 * inner, groups)
            self.down: nn.Module = GroupedLinear(inner, width, groups)
        else:
            self.up = nn.Linear(width, 2 * inner)
            self.down = nn.Linear(inner, width)
        self.mfm = MaxFeatureMap()

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Mix over channels; shape unchanged."""
        return self.down(self.mfm(self.up(x_TBC)))  # type: ignore[no-any-return]


def mix_channels(x_TBC: Tensor, norm: nn.LayerNorm, mixing: ChannelMixing) -> Tensor:
    """Return x + mixing(norm(x))."""
    up, down = mixing.up, mixing.down
    # Quantised or parametrised layers have no plain weight, which the fused form needs.
    if type(up) is type(down) is nn.Linear and runs_fused(x_TBC):
        return channel_mixing(x_TBC, norm, up, down)
    return x_TBC + mixing(norm(x_TBC))  # type: ignore[no-any-return]


class MixerBlock(nn.Module):
    """Token mixing, then channel mixing, each with its residual (notes, "Model Architecture")."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(config.hidden_dim)
        self.id_conv = IDConv(config.hidden_dim)
        self.token_mixing = TokenMixing(config)
        self.channel_norm = nn.LayerNorm(config.hidden_dim)
        groups = config.groups if config.group_channel_mixing else None
        self.channel_mixing = ChannelMixing(config, groups)

    def forward(self, x_TBC: Tensor) -> Tensor:
        """Apply the block; shape unchanged."""
        return self.mix_channels(self.mix_tokens(x_TBC))

    def mix_tokens(self, x_TBC: Tensor) -> Tensor:
        """Apply one residual step: x + token(idconv(norm(x)))."""
        if runs_fused(x_TBC):
            mixing = self.token_mixing
            return token_mixing(x_TBC, self.token_norm, self.id_conv, mixing.up, mixing.down)
        return x_TBC + self.token_mixing(self.id_conv(self.token_norm(x_TBC)))  # type: ignore[no-any-return]

    def mix_channels(self, x_TBC: Tensor) -> Tensor:
        """Apply one residual step: x + channel(norm(x))."""
        return mix_channels(x_TBC, self.channel_norm, self.channel_mixing)


class MLPMixerSpeaker(SpeakerModel):
    """The notes' MLP-Mixer, adapted to mel-spectrograms.

    The notes leave some points open; these are the choices here:
    - The "CNN projection" is one convolution over time (kernel 3, all mel bins) with batch
      normalisation and ReLU.
    - Groups consist of neighbouring frames, as in a grouped Conv1d.
    - "Grouped projections in both mixings" would give 1.17M parameters; dense channel mixing gives
      the notes' 2.66M, so that is the default (`group_channel_mixing`).
    - Max-Feature-Map is the activation of the channel mixing MLP, between a projection to twice
      the inner size and the projection back.
    - Token mixing uses GELU, as in Tolstikhin et al., NeurIPS 2021.
    - The attention of the pooling has 128 hidden units.
    - The expansion factor is relative to the outer size of each MLP.
    """

    def __init__(self, config: MixerSize, block: Callable[[Any], nn.Module] = MixerBlock) -> None:
        super().__init__()
        self.config = config
        self.num_frames = config.fixed_frames
        self.embedding_dim = config.embedding_dim
        # Padding keeps the number of frames, which token mixing fixes.
        self.project = nn.Conv1d(config.num_mels, config.hidden_dim, 3, padding=1)
        self.project_norm = nn.BatchNorm1d(config.hidden_dim)
        self.blocks = nn.ModuleList(block(config) for _ in range(config.num_blocks))
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.pooling = AttentiveStatisticsPooling(config.hidden_dim, ATTENTION_DIM)
        self.embedding = nn.Linear(2 * config.hidden_dim, config.embedding_dim)
        self.embedding_norm = nn.BatchNorm1d(config.embedding_dim)

    def encode(self, norm_BTF: Tensor, *, with_stages: bool) -> ModelOutput:
        """Embed normalised log-mels; the stages are the outputs of the blocks."""
        x_TBC = self._projected(norm_BTF)
        stages: list[Tensor] = []
        for block in self.blocks:
            x_TBC = block(x_TBC)
            if with_stages:
                stages.append(x_TBC.transpose(0, 1))
        pooled_BC = self.pooling(self.norm(x_TBC))
        embedding_BD = self.embedding_norm(self.embedding(pooled_BC))
        return ModelOutput(embedding_BD, tuple(stages), None)

    def _projected(self, norm_BTF: Tensor) -> Tensor:
        """Return the CNN projection, (T, B, C)."""
        if not runs_fused(norm_BTF):
            x_BCT = F.relu(self.project_norm(self.project(norm_BTF.transpose(1, 2))))
            # One copy here, so that all blocks work on contiguous memory (see `models.layers`).
            return x_BCT.permute(2, 0, 1).contiguous()
        # The convolution as one matrix product: each row has a frame and its two neighbours.
        seen_BTFK = F.pad(norm_BTF, (0, 0, 1, 1)).unfold(1, 3, 1)
        seen_ZI = seen_BTFK.permute(1, 0, 3, 2).reshape(norm_BTF.shape[0] * norm_BTF.shape[1], -1)
        weight_CI = self.project.weight.transpose(1, 2).flatten(1)
        x_ZC = FusedLinear.apply(seen_ZI, weight_CI, self.project.bias, "none")  # type: ignore[no-untyped-call]
        return F.relu(self.project_norm(x_ZC)).view(norm_BTF.shape[1], norm_BTF.shape[0], -1)
