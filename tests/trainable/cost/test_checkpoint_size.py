"""The counted size of a checkpoint is that of the file which a trainer writes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.cost.checkpoint_size import checkpoint_memory, weights_memory
from trainable.features.training_data import TrainingData
from trainable.teachers.network import load_teacher
from trainable.training.trainer import Trainer

TEACHER = {"family": "lstm_autoencoder", "hidden_dim": 16, "num_layers": 1, "bottleneck_dim": 8}
SMALL = {
    "mlp_mixer": {"hidden_dim": 32, "num_blocks": 2, "num_frames": 60},
    "mlp_mixer_hybrid": {"hidden_dim": 32, "num_frames": 60},
    "mlp_mixer_autoencoder": {"hidden_dim": 32, "num_blocks": 2, "num_frames": 60},
    "resnet_se34l": {"num_filters": 8},
    "ecapa_tdnn": {"channels": 32, "aggregation_dim": 64},
    "next_tdnn": {"channels": 32, "num_blocks": 1, "kernel": 9},
    "mlp_mixer_free": {"hidden_dim": 64, "num_blocks": 2, "kernel": 9},
    "campplus": {"growth": 16},
    "lstm_autoencoder": {"hidden_dim": 32, "num_layers": 2},
}


def config_of(family: str, **loss: Any) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "model": {"family": family, **SMALL[family]},
            "loss": {"distillation": "none", **loss},
            "training": {"batch_size": 8, "crop_frames": 60, "max_epochs": 1},
        }
    )


def written_bytes(trainer: Trainer, folder: Path) -> int:
    trainer.run_epoch()
    return CheckpointFolder(folder).save(trainer).stat().st_size


@pytest.mark.parametrize(
    ("optimizer", "momentum", "epochs"), [("adamw", 0.9, 1), ("sgd", 0.9, 2), ("sgd", 0.0, 3)]
)
def test_moments_and_the_epochs_of_an_average_are_in_it(
    optimizer: str, momentum: float, epochs: int, data: TrainingData, tmp_path: Path
) -> None:
    config = config_of("mlp_mixer")
    changes = {
        "optimizer": optimizer, "momentum": momentum, "average_last": 2, "max_epochs": epochs,
    }  # fmt: skip
    training = config.training.model_copy(update=changes)
    config = config.model_copy(update={"training": training})
    trainer = Trainer(config, data, device=torch.device("cpu"))
    for _ in range(epochs):
        written = written_bytes(trainer, tmp_path)
    counted = checkpoint_memory(config, None, num_speakers=len(data.speakers)).num_bytes
    assert counted == pytest.approx(written, rel=0.03)
    tensors = weights_memory(config, None, num_speakers=len(data.speakers)).num_bytes
    assert 0.75 * written < tensors < written


@pytest.mark.parametrize("ema_epochs", [0.0, 1.0], ids=["as they are", "averaged"])
@pytest.mark.parametrize("family", SMALL)
def test_the_count_is_the_size_of_the_file(
    family: str, ema_epochs: float, data: TrainingData, tmp_path: Path
) -> None:
    has_decoder = "autoencoder" in family
    config = config_of(family, **({"beta": 0.1} if has_decoder else {}))
    training = config.training.model_copy(update={"ema_epochs": ema_epochs})
    config = config.model_copy(update={"training": training})
    trainer = Trainer(config, data, device=torch.device("cpu"))
    written = written_bytes(trainer, tmp_path)
    counted = checkpoint_memory(config, None, num_speakers=len(data.speakers)).num_bytes
    assert counted == pytest.approx(written, rel=0.02)
    tensors = weights_memory(config, None, num_speakers=len(data.speakers)).num_bytes
    assert 0.75 * written < tensors < written


def test_weights_without_a_loss_are_counted_as_if_they_had_moments(
    data: TrainingData, tmp_path: Path
) -> None:
    config = config_of("mlp_mixer_autoencoder")
    trainer = Trainer(config, data, device=torch.device("cpu"))
    written = written_bytes(trainer, tmp_path)
    counted = checkpoint_memory(config, None, num_speakers=len(data.speakers)).num_bytes
    assert written < counted < 3 * written


def test_the_projections_of_stages_are_in_it(data: TrainingData, tmp_path: Path) -> None:
    teaching = TrialConfig.model_validate(
        {
            "model": TEACHER,
            "loss": {"distillation": "none"},
            "training": {"batch_size": 8, "crop_frames": 60},
        }
    )
    trained = Trainer(teaching, data, device=torch.device("cpu"))
    trained.run_epoch()
    teacher = load_teacher(CheckpointFolder(tmp_path / "teacher").save(trained))
    config = config_of("mlp_mixer", distillation="mse", stages="cosine")
    trainer = Trainer(config, data, teacher=teacher, device=torch.device("cpu"))
    assert len(list(trainer.objective.projections.parameters())) > 0
    written = written_bytes(trainer, tmp_path)
    counted = checkpoint_memory(config, teacher, num_speakers=len(data.speakers)).num_bytes
    assert counted == pytest.approx(written, rel=0.02)


def test_a_speaker_adds_a_centre_and_its_two_moments() -> None:
    config = config_of("mlp_mixer")
    few, many = (
        weights_memory(config, None, num_speakers=number).num_bytes for number in (10, 1010)
    )
    assert many - few == 1000 * config.model.embedding_dim * 4 * 3
