"""A training that starts from a model file: its weights, and nothing else of it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.worlds.tiny_models import MIXER
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.importing import import_model
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.teachers.any_teacher import facts_of_file, find_teacher
from trainable.teachers.network import load_teacher
from trainable.training.start import START_FILE, start_from
from trainable.training.trainer import Trainer


def trainer_of(data: TrainingData, **training: Any) -> Trainer:
    sizes = {"batch_size": 8, "crop_frames": 40, "max_epochs": 2}
    config = {"model": MIXER, "loss": {"distillation": "none"}, "training": sizes | training}
    return Trainer(TrialConfig.model_validate(config), data, device=torch.device("cpu"))


@pytest.mark.parametrize("ema_epochs", [0.0, 0.5])
def test_weights_and_classifier_are_those_of_the_file(
    ema_epochs: float, data: TrainingData, tmp_path: Path
) -> None:
    first = trainer_of(data)
    first.run_epoch()
    file = CheckpointFolder(tmp_path / "first").save(first)
    trainer = trainer_of(data, ema_epochs=ema_epochs)
    line = start_from(trainer, tmp_path / "first", tmp_path / "second")
    assert f"weights from {file} (epoch 1, with its classifier, sha256 " in line
    assert (tmp_path / "second" / START_FILE).read_text().endswith(f" :: {line}\n")
    wanted = first.step.weights()
    for found in (trainer.step.weights(), trainer.step.trained_weights()):
        assert all(torch.equal(each, wanted[name]) for name, each in found.items())
    assert trainer.epoch == 0
    assert not trainer.step.optimizer.state
    trainer.run_epoch()
    assert trainer.history[0].loss_total < first.history[0].loss_total


def test_a_file_without_a_classifier_gives_the_network_alone(
    data: TrainingData, tmp_path: Path
) -> None:
    trainer = trainer_of(data)
    before = trainer.objective.classifier.weight.clone()
    state = trainer.model.state_dict()
    weights = {k: v + 0.01 if v.is_floating_point() else v for k, v in state.items()}
    torch.save(weights, tmp_path / "theirs.pt")
    imported = import_model(tmp_path / "theirs.pt", trainer.config, tmp_path / "own.model")
    line = start_from(trainer, imported.file, tmp_path / "run")
    assert "epoch 0, without its classifier" in line
    assert torch.equal(trainer.objective.classifier.weight, before)
    found = trainer.model.state_dict()
    assert all(torch.equal(found[name], each) for name, each in weights.items())


def test_an_imported_file_of_data_parallel_teaches(data: TrainingData, tmp_path: Path) -> None:
    state = trainer_of(data).model.state_dict()
    torch.save({f"module.{name}": each for name, each in state.items()}, tmp_path / "theirs.pt")
    student = trainer_of(data).config
    file = import_model(tmp_path / "theirs.pt", student, tmp_path / "own.model").file
    facts = facts_of_file(find_teacher(file))
    assert facts.embedding_dim == 24
    assert facts.centres is None
    loss = student.loss.model_copy(update={"distillation": "cosine", "alpha": 0.5})
    trainer = Trainer(
        student.model_copy(update={"loss": loss}),
        data,
        teacher=load_teacher(file),
        device=torch.device("cpu"),
    )
    report = trainer.run_epoch()
    assert report.teacher_cosine is not None
    assert report.distill_share is not None
    assert report.distill_share > 0
