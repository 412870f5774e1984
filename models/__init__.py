"""Students, teachers and the front end: networks that turn waveforms into speaker embeddings.

May import: models.fused, spaces.files.
"""

from models.base import ModelConfig, ModelOutput, SpeakerModel
from models.campplus import CAMPPlus, CAMPPlusConfig
from models.catalogue import AnyModelConfig, build_model, count_parameters
from models.custom_config import CustomModelConfig
from models.ecapa_tdnn import ECAPATDNN, ECAPATDNNConfig
from models.frontend import LogMel, instance_norm
from models.lstm_autoencoder import LSTMAutoencoder, LSTMAutoencoderConfig
from models.mlp_mixer import MLPMixerConfig, MLPMixerSpeaker
from models.mlp_mixer_autoencoder import MLPMixerAutoencoder, MLPMixerAutoencoderConfig
from models.mlp_mixer_free import MLPMixerFree, MLPMixerFreeConfig
from models.mlp_mixer_hybrid import MLPMixerHybrid, MLPMixerHybridConfig
from models.next_tdnn import NeXtTDNN, NeXtTDNNConfig
from models.resnet_se34l import ResNetSE34L, ResNetSE34LConfig

__all__ = [
    "ECAPATDNN",
    "AnyModelConfig",
    "CAMPPlus",
    "CAMPPlusConfig",
    "CustomModelConfig",
    "ECAPATDNNConfig",
    "LSTMAutoencoder",
    "LSTMAutoencoderConfig",
    "LogMel",
    "MLPMixerAutoencoder",
    "MLPMixerAutoencoderConfig",
    "MLPMixerConfig",
    "MLPMixerFree",
    "MLPMixerFreeConfig",
    "MLPMixerHybrid",
    "MLPMixerHybridConfig",
    "MLPMixerSpeaker",
    "ModelConfig",
    "ModelOutput",
    "NeXtTDNN",
    "NeXtTDNNConfig",
    "ResNetSE34L",
    "ResNetSE34LConfig",
    "SpeakerModel",
    "build_model",
    "count_parameters",
    "instance_norm",
]
