"""The model families by name."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from models.base import ModelConfig, SpeakerModel
from models.ecapa_tdnn import ECAPATDNN, ECAPATDNNConfig
from models.lstm_autoencoder import LSTMAutoencoder, LSTMAutoencoderConfig
from models.mlp_mixer import MLPMixerConfig, MLPMixerSpeaker
from models.mlp_mixer_autoencoder import MLPMixerAutoencoder, MLPMixerAutoencoderConfig
from models.mlp_mixer_hybrid import MLPMixerHybrid, MLPMixerHybridConfig
from models.resnet_se34l import ResNetSE34L, ResNetSE34LConfig

AnyModelConfig = Annotated[
    MLPMixerConfig
    | MLPMixerHybridConfig
    | MLPMixerAutoencoderConfig
    | LSTMAutoencoderConfig
    | ResNetSE34LConfig
    | ECAPATDNNConfig,
    Field(discriminator="family"),
]

BUILDERS: dict[str, Callable[[Any], SpeakerModel]] = {
    "mlp_mixer": MLPMixerSpeaker,
    "mlp_mixer_hybrid": MLPMixerHybrid,
    "mlp_mixer_autoencoder": MLPMixerAutoencoder,
    "lstm_autoencoder": LSTMAutoencoder,
    "resnet_se34l": ResNetSE34L,
    "ecapa_tdnn": ECAPATDNN,
}


def build_model(config: ModelConfig) -> SpeakerModel:
    """Build a model with freshly drawn weights (from PyTorch's global generator)."""
    return BUILDERS[config.family](config)


def count_parameters(model: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
