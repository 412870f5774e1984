"""A fingerprint depends on the architecture of a model, and on nothing else."""

from typing import Any

import pytest
import torch
from torch import nn

from models import (
    CAMPPlusConfig,
    ECAPATDNNConfig,
    LSTMAutoencoderConfig,
    MLPMixerAutoencoderConfig,
    MLPMixerConfig,
    MLPMixerFreeConfig,
    MLPMixerHybridConfig,
    ModelConfig,
    NeXtTDNNConfig,
    ResNetSE34LConfig,
    SpeakerModel,
    build_model,
)
from models.catalogue import BUILDERS
from models.fingerprint import model_fingerprint

MIXER = {"hidden_dim": 16, "num_blocks": 1, "num_frames": 40, "embedding_dim": 24}
CONFIGS: tuple[ModelConfig, ...] = (
    MLPMixerConfig(**MIXER),
    MLPMixerHybridConfig(**MIXER),
    MLPMixerAutoencoderConfig(**MIXER),
    LSTMAutoencoderConfig(hidden_dim=16, num_layers=1, bottleneck_dim=8, embedding_dim=24),
    ResNetSE34LConfig(num_filters=8, embedding_dim=24),
    ECAPATDNNConfig(channels=16, aggregation_dim=16, bottleneck_dim=8, embedding_dim=24),
    NeXtTDNNConfig(channels=16, num_blocks=1, light=False, kernel=9, embedding_dim=24),
    CAMPPlusConfig(growth=4, embedding_dim=24),
    MLPMixerFreeConfig(hidden_dim=16, num_blocks=1, kernel=9, embedding_dim=24),
)
# Another value that each field can have beside the others.
OTHER: dict[str, Any] = {
    "num_mels": 40,
    "embedding_dim": 32,
    "hidden_dim": 32,
    "num_blocks": 2,
    "expansion_factor": 2,
    "groups": 2,
    "group_channel_mixing": True,
    "num_frames": 80,
    "num_decoder_blocks": 2,
    "num_layers": 2,
    "bottleneck_dim": 12,
    "encoder_type": "ASP",
    "num_filters": 16,
    "channels": 32,
    "aggregation_dim": 24,
    "light": True,
    "kernel": 5,
    "short_kernel": 3,
    "growth": 8,
}
# Its convolutions and its mean over frequency take any number of mel bins.
SAME_MODEL = {("resnet_se34l", "num_mels")}
FIELDS = [
    pytest.param(config, name, id=f"{config.family}-{name}")
    for config in CONFIGS
    for name in type(config).model_fields
    if name != "family" and (config.family, name) not in SAME_MODEL
]


def fingerprint(config: ModelConfig) -> str:
    with torch.device("meta"):
        return model_fingerprint(build_model(config))


def test_every_bundled_family_is_looked_at():
    assert {config.family for config in CONFIGS} == BUILDERS.keys()


@pytest.mark.parametrize(("config", "name"), FIELDS)
def test_another_value_of_any_field_is_another_model(config: ModelConfig, name: str):
    other = type(config).model_validate(config.model_dump() | {name: OTHER[name]})
    assert getattr(config, name) != OTHER[name]
    assert fingerprint(config) != fingerprint(other)


def test_a_field_that_changes_nothing_is_seen_as_such():
    for family, name in SAME_MODEL:
        [config] = (each for each in CONFIGS if each.family == family)
        other = config.model_copy(update={name: OTHER[name]})
        assert fingerprint(config) == fingerprint(other)


def test_families_of_equal_sizes_differ():
    assert len({fingerprint(config) for config in CONFIGS}) == len(CONFIGS)


def test_weights_mode_and_device_do_not_count():
    model = build_model(CONFIGS[0])
    first = model_fingerprint(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert model_fingerprint(model.eval()) == first == fingerprint(CONFIGS[0])
    assert len(first) == 16
    assert int(first, 16) >= 0


def test_it_is_the_same_in_every_process():
    # SHA-256 of the text that the docstring describes, by sha256sum.
    model = nn.Sequential(nn.Linear(2, 3, bias=False))
    assert model_fingerprint(model) == "a9592ab75ba36674"


def test_frozen_parameters_and_slopes_make_another_model():
    def net(slope: float, *, is_trained: bool) -> str:
        linear = nn.Linear(4, 4).requires_grad_(is_trained)
        return model_fingerprint(nn.Sequential(linear, nn.LeakyReLU(slope)))

    found = {net(0.1, is_trained=True), net(0.2, is_trained=True), net(0.1, is_trained=False)}
    assert len(found) == 3


def test_a_fixed_length_counts_where_no_shape_depends_on_it():
    class Net(SpeakerModel):
        def __init__(self, num_frames: int | None) -> None:
            super().__init__()
            self.num_frames = num_frames

    found = {model_fingerprint(Net(num_frames)) for num_frames in (None, 100, 200)}
    assert len(found) == 3
