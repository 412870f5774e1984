"""Model files of every family with drawn weights, statistics of batch norms too."""

from pathlib import Path

import torch
from torch import nn

from models import ModelConfig, SpeakerModel, build_model
from tests.worlds.model_cases import CASES, FRAMES
from trainable.checkpoints.importing import import_model
from trainable.config.trial_config import TrialConfig

# Every family of Veer's own.
FAMILIES = {name: case.config for name, case in CASES.items() if case.source is None}


def untrained_model(config: ModelConfig) -> SpeakerModel:
    """A model whose every tensor is drawn, and none is what a new model has."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = build_model(config)
        for name, each in model.state_dict().items():
            if name.endswith(("norm.weight", "norm.bias")):
                each.normal_(0.5, 0.2)
        settle(model)
    return model.eval()


@torch.no_grad()
def settle(model: SpeakerModel, frames: int = FRAMES) -> None:
    """Give the batch norms statistics of noise, as those of training: with new ones a deep network
    has nearly the same embedding for any input."""
    for each in model.modules():
        if isinstance(each, nn.modules.batchnorm._BatchNorm):
            each.reset_running_stats()
            each.momentum = None
    model.train()(torch.randn(8, frames, 80))


def model_trial(config: ModelConfig) -> TrialConfig:
    """A trial of a model of the cases, which takes crops of 40 frames."""
    training = {"crop_frames": 40, "max_epochs": 3, "eval_frames": 60}
    data = {"model": config.model_dump(), "loss": {"distillation": "none"}, "training": training}
    return TrialConfig.model_validate(data)


def write_untrained(folder: Path, name: str) -> Path:
    """Write the model file of a case, by way of a plain state dict."""
    config = FAMILIES[name]
    torch.save(untrained_model(config).state_dict(), folder / f"{name}.pt")
    return import_model(folder / f"{name}.pt", model_trial(config), folder / f"{name}.model").file
