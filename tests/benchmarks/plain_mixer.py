"""The notes' Mixer written with PyTorch's own layers: the reference for speed.

Layout (B, T, C) throughout. Every part is the layer of `torch.nn` that the notes name, with the
transposes it needs. It computes what `models.mlp_mixer` computes, with the same weights.

Shapes: B batch, T frames, C channels, F mel bins, D embedding.
"""

import torch
from torch import Tensor, nn

from models import MLPMixerConfig, SpeakerModel
from models.frontend import INSTANCE_NORM_EPS
from models.mlp_mixer import ATTENTION_DIM
from models.pooling import VARIANCE_FLOOR


class PlainTokenMixing(nn.Module):
    """ID convolution and the MLP over frames: Conv1d of both, as the notes have it."""

    def __init__(self, config: MLPMixerConfig) -> None:
        super().__init__()
        frames, inner = config.num_frames, config.num_frames * config.expansion_factor
        width = config.hidden_dim
        self.id_conv = nn.Conv1d(width, width, 3, padding=1, groups=width)
        self.up = nn.Conv1d(frames, inner, 1, groups=config.groups)
        self.gelu = nn.GELU()
        self.down = nn.Conv1d(inner, frames, 1, groups=config.groups)

    def forward(self, x_BTC: Tensor) -> Tensor:
        x_BCT = x_BTC.transpose(1, 2)
        x_BTC = (x_BCT + self.id_conv(x_BCT)).transpose(1, 2)
        return self.down(self.gelu(self.up(x_BTC)))


class PlainChannelMixing(nn.Module):
    """Linear, Max-Feature-Map, linear."""

    def __init__(self, config: MLPMixerConfig) -> None:
        super().__init__()
        width, inner = config.hidden_dim, config.hidden_dim * config.expansion_factor
        self.up = nn.Linear(width, 2 * inner)
        self.down = nn.Linear(inner, width)

    def forward(self, x_BTC: Tensor) -> Tensor:
        first, second = self.up(x_BTC).chunk(2, dim=-1)
        return self.down(torch.max(first, second))


class PlainGroupedChannelMixing(nn.Module):
    """The same with grouped convolutions over the channels."""

    def __init__(self, config: MLPMixerConfig) -> None:
        super().__init__()
        width, inner = config.hidden_dim, config.hidden_dim * config.expansion_factor
        self.up = nn.Conv1d(width, 2 * inner, 1, groups=config.groups)
        self.down = nn.Conv1d(inner, width, 1, groups=config.groups)

    def forward(self, x_BTC: Tensor) -> Tensor:
        first, second = self.up(x_BTC.transpose(1, 2)).chunk(2, dim=1)
        return self.down(torch.max(first, second)).transpose(1, 2)


class PlainMixerBlock(nn.Module):
    """Token mixing, then channel mixing, each on the normalised input and added to it."""

    def __init__(self, config: MLPMixerConfig) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(config.hidden_dim)
        self.token_mixing = PlainTokenMixing(config)
        self.channel_norm = nn.LayerNorm(config.hidden_dim)
        dense_or_grouped = (PlainChannelMixing, PlainGroupedChannelMixing)
        self.channel_mixing = dense_or_grouped[config.group_channel_mixing](config)

    def forward(self, x_BTC: Tensor) -> Tensor:
        x_BTC = x_BTC + self.token_mixing(self.token_norm(x_BTC))
        return x_BTC + self.channel_mixing(self.channel_norm(x_BTC))


class PlainPooling(nn.Module):
    """Attentive statistics pooling."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.Linear(channels, ATTENTION_DIM), nn.Tanh(), nn.Linear(ATTENTION_DIM, channels)
        )

    def forward(self, x_BTC: Tensor) -> Tensor:
        weight_BTC = torch.softmax(self.attention(x_BTC), dim=1)
        mean_BC = (weight_BTC * x_BTC).sum(dim=1)
        variance_BC = (weight_BTC * x_BTC**2).sum(dim=1) - mean_BC**2
        return torch.cat((mean_BC, variance_BC.clamp(min=VARIANCE_FLOOR).sqrt()), dim=1)


class PlainMixer(nn.Module):
    """The notes' student: log-mels (B, T, F) to embeddings (B, D)."""

    def __init__(self, config: MLPMixerConfig) -> None:
        super().__init__()
        width = config.hidden_dim
        self.instance_norm = nn.InstanceNorm1d(config.num_mels, eps=INSTANCE_NORM_EPS)
        self.project = nn.Conv1d(config.num_mels, width, 3, padding=1)
        self.project_norm = nn.BatchNorm1d(width)
        self.blocks = nn.Sequential(*(PlainMixerBlock(config) for _ in range(config.num_blocks)))
        self.norm = nn.LayerNorm(width)
        self.pooling = PlainPooling(width)
        self.embedding = nn.Linear(2 * width, config.embedding_dim)
        self.embedding_norm = nn.BatchNorm1d(config.embedding_dim)

    def forward(self, feat_BTF: Tensor) -> Tensor:
        x_BFT = self.instance_norm(feat_BTF.transpose(1, 2))
        x_BCT = torch.relu(self.project_norm(self.project(x_BFT)))
        x_BTC = self.norm(self.blocks(x_BCT.transpose(1, 2)))
        return self.embedding_norm(self.embedding(self.pooling(x_BTC)))


def plain_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert tensors of Veer's Mixer (weights or gradients, by name) to those of the plain one.

    Here the ID convolution is a module of the token mixing, grouped weights are a convolution's
    (out, in / groups, 1), and the ID convolution's (3, C) is a depthwise one's (C, 1, 3).
    """
    plain = {}
    for name, tensor in tensors.items():
        if ".id_conv." in name:
            name = name.replace(".id_conv.", ".token_mixing.id_conv.")
            tensor = tensor.T[:, None] if tensor.ndim == 2 else tensor
        elif tensor.ndim == 3 and "token_mixing" in name:
            tensor = tensor.flatten(0, 1)[..., None]
        elif tensor.ndim == 3 and "channel_mixing" in name:
            tensor = tensor.transpose(1, 2).flatten(0, 1)[..., None]
        plain[name] = tensor.detach().clone()
    return plain


def plain_twin(model: SpeakerModel, config: MLPMixerConfig) -> PlainMixer:
    """Return a plain Mixer with the weights of Veer's."""
    plain = PlainMixer(config)
    plain.load_state_dict(plain_tensors(dict(model.state_dict())))
    return plain
