"""The model families by name."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag
from torch import nn

from models.base import ModelConfig, SpeakerModel
from models.campplus import CAMPPlus, CAMPPlusConfig
from models.custom_config import CustomModelConfig, is_custom_family
from models.custom_model import build_custom
from models.ecapa_tdnn import ECAPATDNN, ECAPATDNNConfig
from models.lstm_autoencoder import LSTMAutoencoder, LSTMAutoencoderConfig
from models.mlp_mixer import MLPMixerConfig, MLPMixerSpeaker
from models.mlp_mixer_autoencoder import MLPMixerAutoencoder, MLPMixerAutoencoderConfig
from models.mlp_mixer_free import MLPMixerFree, MLPMixerFreeConfig
from models.mlp_mixer_hybrid import MLPMixerHybrid, MLPMixerHybridConfig
from models.next_tdnn import NeXtTDNN, NeXtTDNNConfig
from models.resnet_se34l import ResNetSE34L, ResNetSE34LConfig

BundledModelConfig = Annotated[
    MLPMixerConfig
    | MLPMixerFreeConfig
    | MLPMixerHybridConfig
    | MLPMixerAutoencoderConfig
    | LSTMAutoencoderConfig
    | ResNetSE34LConfig
    | ECAPATDNNConfig
    | NeXtTDNNConfig
    | CAMPPlusConfig,
    Field(discriminator="family"),
]


def _origin(config: object) -> str:
    # pydantic passes a mapping when it validates and an instance when it serialises.
    family = config.get("family") if isinstance(config, Mapping) else getattr(config, "family", "")
    return "custom" if is_custom_family(family) else "bundled"


# Two steps, so that the error for a misspelt family still lists the names of the bundled ones.
AnyModelConfig = Annotated[
    Annotated[BundledModelConfig, Tag("bundled")] | Annotated[CustomModelConfig, Tag("custom")],
    Discriminator(_origin),
]

BUILDERS: dict[str, Callable[[Any], SpeakerModel]] = {
    "mlp_mixer": MLPMixerSpeaker,
    "mlp_mixer_free": MLPMixerFree,
    "mlp_mixer_hybrid": MLPMixerHybrid,
    "mlp_mixer_autoencoder": MLPMixerAutoencoder,
    "lstm_autoencoder": LSTMAutoencoder,
    "resnet_se34l": ResNetSE34L,
    "ecapa_tdnn": ECAPATDNN,
    "next_tdnn": NeXtTDNN,
    "campplus": CAMPPlus,
}


def build_model(config: ModelConfig) -> SpeakerModel:
    """Build a model with new random weights, drawn from PyTorch's global generator.

    Raises:
        ConfigError: The family is a class of the user's, and it is not allowed or breaks a rule.
    """
    if isinstance(config, CustomModelConfig):
        return build_custom(config)
    return BUILDERS[config.family](config)


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
