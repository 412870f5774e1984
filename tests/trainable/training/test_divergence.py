"""What explodes: the loss, a gradient, the embeddings."""

import itertools
import math
from pathlib import Path

import pytest
import torch

from models import ModelOutput
from spaces.files.errors import DivergedError
from tests.worlds.tiny_models import MIXER
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.machine.engine import Engine
from trainable.step.batch import Batch
from trainable.step.optimizers import set_lr
from trainable.step.step import StepMeter
from trainable.training.trainer import Trainer

CPU = torch.device("cpu")
NAN, INF = float("nan"), float("inf")


def trainer_of(data: TrainingData, **training: object) -> Trainer:
    usual = {"batch_size": 8, "crop_frames": 40, "lr": 3e-3}
    config = {"model": MIXER, "loss": {"distillation": "none"}, "training": usual | training}
    return Trainer(TrialConfig.model_validate(config), data, device=CPU)


def test_a_loss_that_is_not_finite_ends_the_run(data: TrainingData) -> None:
    trainer = trainer_of(data)
    with torch.no_grad():
        trainer.objective.classifier.weight.fill_(NAN)
    with pytest.raises(DivergedError, match=r"^the loss became nan in epoch 1; lower training.lr"):
        trainer.run_epoch()
    assert trainer.history == []


@pytest.mark.parametrize("lr", [1e6, 1e18, 1e38])
def test_a_learning_rate_that_is_far_too_high_keeps_the_last_good_epoch(
    data: TrainingData, tmp_path: Path, lr: float
) -> None:
    """Beyond what a config may ask for, so that every student explodes."""
    trainer, checkpoints = trainer_of(data), CheckpointFolder(tmp_path)
    good = trainer.run_epoch()
    checkpoints.save(trainer)
    trainer.schedule.before_step = lambda *_: set_lr(trainer.step.optimizer, lr)
    with pytest.raises(DivergedError, match=r"(nan|inf|NaN or infinite) in epoch 2; lower"):
        trainer.run_epoch()
    assert checkpoints.epochs() == [1]
    restored = trainer_of(data)
    assert checkpoints.restore(restored) == []
    assert restored.history == [good]
    assert math.isfinite(restored.run_epoch().veer_pct)


def test_a_gradient_that_explodes_in_the_last_step_is_noticed(data: TrainingData) -> None:
    """Its loss is finite; without a look at the weights the epoch would count."""
    trainer = trainer_of(data)
    steps = []

    def explode(gradient: torch.Tensor) -> torch.Tensor:
        steps.append(1)
        return gradient * INF if len(steps) == len(data.train_row) // 8 else gradient

    next(iter(trainer.model.parameters())).register_hook(explode)
    with pytest.raises(DivergedError, match=r"^a weight became NaN or infinite in epoch 1; lower"):
        trainer.run_epoch()
    assert (trainer.epoch, trainer.history) == (0, [])


@pytest.mark.parametrize("value", [NAN, INF])
def test_an_embedding_that_is_not_finite_gives_no_scores(data: TrainingData, value: float) -> None:
    trainer = trainer_of(data)

    def spoil(module: torch.nn.Module, _: object, out: ModelOutput) -> ModelOutput:
        """An overflow that training does not see, as running means may bring it."""
        if module.training:
            return out
        return out._replace(embedding_BD=torch.full_like(out.embedding_BD, value))

    trainer.model.register_forward_hook(spoil)
    validation = trainer._validation
    assert validation.scores(trainer.model, Engine(device=CPU)) is None
    with pytest.raises(DivergedError, match=r"^an embedding of the validation list became NaN"):
        trainer.run_epoch()
    assert trainer.history == []


def scaled_trainer(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    """As on a GPU in float16: steps whose gradients are not finite are skipped."""
    engine = Engine(device=CPU, dtype=torch.bfloat16, scales_loss=True)
    monkeypatch.setattr("trainable.training.trainer.resolve_engine", lambda *_: engine)
    return trainer_of(data)


def overflowing(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Make the input of these steps of an epoch infinite."""
    run, taken = trainer.step.run, itertools.count()

    def run_or_overflow(batch: Batch, meter: StepMeter | None = None) -> dict[str, torch.Tensor]:
        if next(taken) in steps:
            batch = batch._replace(seen_BTF=torch.full_like(batch.seen_BTF, INF))
        return run(batch, meter)

    monkeypatch.setattr(trainer.step, "run", run_or_overflow)


def test_a_batch_that_the_loss_scaler_skips_is_left_out_of_the_epoch(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = scaled_trainer(data, monkeypatch)
    overflowing(trainer, monkeypatch, {1})
    usual = scaled_trainer(data, monkeypatch).run_epoch()
    report = trainer.run_epoch()
    assert (trainer.step.num_steps, trainer.step.num_skipped) == (3, 1)
    assert report.loss_total == pytest.approx(usual.loss_total, rel=0.2)
    assert math.isfinite(report.veer_pct)
    assert all(tensor.isfinite().all() for tensor in trainer.step.all_tensors())


def test_an_epoch_whose_steps_were_all_skipped_has_diverged(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = scaled_trainer(data, monkeypatch)
    overflowing(trainer, monkeypatch, {0, 1, 2})
    with pytest.raises(DivergedError, match="the loss became nan in epoch 1"):
        trainer.run_epoch()
