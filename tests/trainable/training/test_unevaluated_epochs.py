"""Epochs without evaluation: what a training reports, keeps and restores of them."""

from pathlib import Path

import pytest
import torch

from spaces.files.errors import CheckpointError, DamagedError
from tests.worlds.tiny_models import MIXER
from trainable.checkpoints.folder import CheckpointFolder, resolve_model_file
from trainable.checkpoints.model_file import read_checkpoint
from trainable.config.eval_plan import EVERY_EPOCH, EvalPlan
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.training.saved_epoch import run_saved_epoch
from trainable.training.trainer import Trainer

PLAN = EvalPlan(every_epochs=4, anyway=(2,), all_from=6)
EVALUATED = [2, 4, 6, 7]
CPU = torch.device("cpu")


def trainer_of(data: TrainingData, plan: EvalPlan = PLAN) -> Trainer:
    config = {
        "model": MIXER,
        "loss": {"distillation": "none"},
        "training": {"batch_size": 8, "crop_frames": 40, "lr": 3e-3, "ema_epochs": 0.5},
    }
    trainer = Trainer(TrialConfig.model_validate(config), data, device=CPU)
    trainer.eval_plan = plan
    return trainer


def test_the_epochs_of_a_plan() -> None:
    assert [epoch for epoch in range(1, 8) if PLAN.is_due(epoch)] == EVALUATED
    assert all(map(EVERY_EPOCH.is_due, range(1, 100)))


def test_what_is_not_evaluated_changes_nothing_else(data: TrainingData, tmp_path: Path) -> None:
    usual, trainer = trainer_of(data, EVERY_EPOCH), trainer_of(data)
    for epoch in range(1, 8):
        expected, report = usual.run_epoch(), run_saved_epoch(trainer, tmp_path)
        assert report.loss_total == expected.loss_total
        if epoch in EVALUATED:
            assert (report.veer_pct, report.dprime) == (expected.veer_pct, expected.dprime)
            assert report.is_unevaluated is None
        else:
            assert report.veer_pct is report.dprime is report.eval_s is None
            assert report.is_unevaluated is True
            assert trainer.new_scores is None
    best = min((each for each in trainer.history if each.epoch in EVALUATED),
               key=lambda each: (each.veer_pct, each.epoch))  # fmt: skip
    folder = CheckpointFolder(tmp_path)
    assert folder.epochs() == sorted({best.epoch, 7})
    assert resolve_model_file(tmp_path) == folder.file_of(best.epoch)


def test_a_run_stopped_after_such_an_epoch_continues_bit_for_bit(
    data: TrainingData, tmp_path: Path
) -> None:
    undisturbed = trainer_of(data)
    reports = [undisturbed.run_epoch() for _ in range(4)]
    curve = [(each.loss_total, each.veer_pct) for each in reports]
    for epoch in range(4):
        trainer = trainer_of(data)
        assert CheckpointFolder(tmp_path).restore(trainer) == []
        assert trainer.epoch == epoch
        run_saved_epoch(trainer, tmp_path)
    assert [(each.loss_total, each.veer_pct) for each in trainer.history] == curve
    assert [each.is_unevaluated for each in trainer.history] == [True, None, True, None]


def test_without_any_evaluation_no_epoch_is_the_best(data: TrainingData, tmp_path: Path) -> None:
    run_saved_epoch(trainer_of(data), tmp_path)
    message = r"no epoch of this run was evaluated yet.*such as .*model000000001\.model"
    with pytest.raises(CheckpointError, match=message):
        resolve_model_file(tmp_path)


def test_a_veer_that_is_missing_without_reason_is_damage(
    data: TrainingData, tmp_path: Path
) -> None:
    trainer = trainer_of(data)
    trainer.run_epoch()
    state = trainer.state()
    state["veer"]["history"][0]["is_unevaluated"] = None
    file = tmp_path / "one.model"
    torch.save(state, file)
    with pytest.raises(DamagedError, match=r"holds epoch 1, but a history of epochs \[\]"):
        read_checkpoint(file)
