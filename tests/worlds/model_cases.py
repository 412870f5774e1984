"""The models that the contract is tested on."""

import re
from dataclasses import dataclass
from pathlib import Path

from models import (
    CAMPPlusConfig,
    CustomModelConfig,
    ECAPATDNNConfig,
    LSTMAutoencoderConfig,
    MLPMixerAutoencoderConfig,
    MLPMixerConfig,
    MLPMixerFreeConfig,
    MLPMixerHybridConfig,
    ModelConfig,
    NeXtTDNNConfig,
    ResNetSE34LConfig,
)

FRAMES = 40
EMBEDDING = 24
MIXER = {"hidden_dim": 16, "num_blocks": 2, "num_frames": FRAMES, "embedding_dim": EMBEDDING}

# What comes after takes a constant away: the softmax over time, a batch normalisation, or (a
# constant over the channels of a frame) the layer normalisations.
POOLED = ("pooling.attention.2.bias", "embedding.bias")
DOCUMENTED = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "own_model.md").read_text(),
    flags=re.DOTALL,
)[0]
# Takes keywords, one length, and rebuilds its input; the one in the documentation does not.
KEYWORDS = """
import torch
from models import ModelOutput, SpeakerModel

class Net(SpeakerModel):
    def __init__(self, num_mels, embedding_dim, num_frames, width=8):
        super().__init__()
        self.embedding_dim, self.num_frames = embedding_dim, num_frames
        self.up = torch.nn.Linear(num_mels, width)
        self.over_time = torch.nn.Linear(num_frames, 1)
        self.embedding = torch.nn.Linear(width, embedding_dim)
        self.down = torch.nn.Linear(width, num_mels)

    def encode(self, norm_BTF, *, with_stages):
        x_BTC = torch.tanh(self.up(norm_BTF))
        pooled_BC = self.over_time(x_BTC.transpose(1, 2)).squeeze(2)
        rebuilt_BTF = self.down(x_BTC) if self.training else None
        return ModelOutput(self.embedding(pooled_BC), (x_BTC,) if with_stages else (), rebuilt_BTF)
"""
MIXED = (*POOLED, "project.bias", *(f"blocks.{i}.token_mixing.down.bias" for i in range(2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model under test.

    Attributes:
        config: Its size; takes crops of `FRAMES` frames and gives `EMBEDDING` dimensions.
        stages: (T, C) of every stage.
        num_params: Its trainable parameters.
        cancelled: Parameters that cannot change the output of training mode.
        source: Text of the file that a user's own family names.
        rebuilds: Whether it rebuilds its input; None if the config states it.
    """

    config: ModelConfig
    stages: tuple[tuple[int, int], ...]
    num_params: int
    cancelled: tuple[str, ...] = ()
    source: str | None = None
    rebuilds: bool | None = None


CASES = {
    "mixer": Case(
        config=MLPMixerConfig(**MIXER),
        stages=((FRAMES, 16),) * 2,
        num_params=19_208,
        cancelled=MIXED,
    ),
    "mixer_grouped": Case(
        config=MLPMixerConfig(**MIXER, group_channel_mixing=True),
        stages=((FRAMES, 16),) * 2,
        num_params=15_752,
        cancelled=MIXED,
    ),
    "mixer_hybrid": Case(
        config=MLPMixerHybridConfig(**MIXER),
        stages=((FRAMES, 16),) * 2,
        num_params=23_624,
        cancelled=MIXED,
    ),
    "mixer_autoencoder": Case(
        config=MLPMixerAutoencoderConfig(**MIXER),
        stages=((FRAMES, 16),) * 2,
        num_params=26_744,
        cancelled=(*MIXED, "decoder.blocks.0.token_mixing.down.bias"),
    ),
    "lstm": Case(
        config=LSTMAutoencoderConfig(
            hidden_dim=16, num_layers=2, bottleneck_dim=12, embedding_dim=EMBEDDING
        ),
        stages=((FRAMES, 16), (FRAMES, 16), (FRAMES, 12)),
        num_params=18_144,
        cancelled=POOLED,
    ),
    **{
        f"resnet_{encoder}": Case(
            config=ResNetSE34LConfig(
                encoder_type=encoder, num_filters=8, embedding_dim=EMBEDDING
            ),
            stages=((40, 8 * 40), (20, 16 * 20), (10, 32 * 10), (10, 64 * 10)),
            num_params=num_params,
        )
        for encoder, num_params in {"SAP": 345_907, "ASP": 347_443}.items()
    },
    "ecapa": Case(
        config=ECAPATDNNConfig(
            channels=16, aggregation_dim=20, bottleneck_dim=8, embedding_dim=EMBEDDING
        ),
        stages=(*((FRAMES, 16),) * 3, (FRAMES, 20)),
        num_params=12_250,
        cancelled=(*POOLED, "pooling_norm.bias"),
    ),
    **{
        name: Case(
            config=NeXtTDNNConfig(
                channels=16, num_blocks=1, light=light, kernel=9, embedding_dim=EMBEDDING
            ),
            stages=(*((FRAMES, 16),) * 3, (FRAMES, 48)),
            num_params=num_params,
            cancelled=(*POOLED, "pooling_norm.bias"),
        )
        for name, light, num_params in (("next", False, 19_742), ("next_light", True, 18_158))
    },
    "mixer_free": Case(
        config=MLPMixerFreeConfig(
            hidden_dim=16, num_blocks=2, kernel=9, embedding_dim=EMBEDDING
        ),
        stages=((FRAMES, 16),) * 2,
        num_params=14_600,
        cancelled=(*POOLED, "project.bias"),
    ),
    "campplus": Case(
        config=CAMPPlusConfig(growth=4, embedding_dim=EMBEDDING),
        stages=((20, 32), (20, 64), (20, 64)),
        num_params=116_532,
    ),
    "own_documented": Case(
        config=CustomModelConfig.model_validate(
            {
                "family": "my_students.conv:ConvNet",
                "embedding_dim": EMBEDDING,
                "width": 16,
                "depth": 2,
            }
        ),
        stages=((FRAMES, 16),) * 2,
        # Two convolutions of 3 frames and a linear layer, each with its biases.
        num_params=(80 * 3 + 1) * 16 + (16 * 3 + 1) * 16 + (16 + 1) * EMBEDDING,
        source=DOCUMENTED,
        rebuilds=False,
    ),
    "own_keywords": Case(
        config=CustomModelConfig(
            family="keywords:Net", embedding_dim=EMBEDDING, num_frames=FRAMES
        ),
        stages=((FRAMES, 8),),
        num_params=(80 + 1) * 8 + (FRAMES + 1) + (8 + 1) * EMBEDDING + (8 + 1) * 80,
        source=KEYWORDS,
        rebuilds=True,
    ),
}
