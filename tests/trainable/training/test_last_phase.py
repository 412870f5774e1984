"""The phases of a training: when the main one ends, what the last one trains on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spaces.files.errors import TrainingError
from tests.worlds.tiny_models import LSTM
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrainingConfig, TrialConfig
from trainable.features.training_data import TrainingData
from trainable.report.epoch_report import EpochReport
from trainable.teachers.network import Teacher
from trainable.training.last_phase import main_epochs, why_ended
from trainable.training.trainer import Trainer

CPU = torch.device("cpu")
def reports(*veers: float | None) -> list[EpochReport]:
    return [
        EpochReport(
            epoch=epoch, veer_pct=veer, loss_total=1.0, train_accuracy_pct=0.0, lr=0.1,
            samples_per_s=1.0,
        )
        for epoch, veer in enumerate(veers, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("veers", "patience", "expected"),
    [
        ((9, 8, 8, 8, 7), 3, 10),
        ((9, 8, 8, 8, 8), 3, 5),
        ((9, 8, 8, 8, 8, 1), 3, 5),
        ((9, 9), 1, 2),
        ((9, 9, 9, 9), 0, 10),
        ((), 2, 10),
        ((9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0), 2, 10),
    ],
)
def test_the_main_phase_ends_when_patience_does(
    veers: tuple[float, ...], patience: int, expected: int
) -> None:
    training = TrainingConfig(max_epochs=12, last_phase_epochs=2)
    assert main_epochs(training, reports(*veers), patience) == expected
    why = why_ended(training, reports(*veers), patience)
    if expected == 10:
        assert why is None
    else:
        text = f"last phase began after epoch {expected} of 10: no better VEER for {patience} "
        assert text in why


def trainer_of(data: TrainingData, teacher: Teacher | None = None, **training: Any) -> Trainer:
    settings = {
        "batch_size": 8, "crop_frames": 40, "max_epochs": 4, "num_masks": 1, "average_last": 2,
        "last_phase_epochs": 2, "last_phase_crop_frames": 56, "last_phase_lr": 1e-4,
        "last_phase_margin": 0.4, "eval_crops": 1,
    }  # fmt: skip
    loss = {"distillation": "none" if teacher is None else "cosine", "margin_warmup_epochs": 1}
    tree = {"model": LSTM, "loss": loss, "training": settings | training}
    return Trainer(TrialConfig.model_validate(tree), data, teacher=teacher, device=CPU)


def recorded(trainer: Trainer) -> list[dict[str, Any]]:
    """Return a list that gets what each step is given from here on."""
    seen, run = [], trainer.step.run

    def recording(batch: Any, meter: Any) -> Any:
        margin, lr = trainer.objective.margin, trainer.step.optimizer.param_groups[0]["lr"]
        is_masked = batch.seen_BTF is not batch.crops.feat_BTF
        terms = run(batch, meter)
        frames = batch.seen_BTF.shape[1]
        seen.append({"margin": margin, "lr": lr, "masks": is_masked, "frames": frames, **terms})
        return terms

    trainer.step.run = recording
    return seen


def test_the_last_phase_classifies_longer_crops_with_a_large_margin(
    data: TrainingData, network: Teacher
) -> None:
    trainer = trainer_of(data, network)
    seen, steps = recorded(trainer), len(data.train_row) // 8
    found = [trainer.run_epoch() for _ in range(4)]
    assert [report.is_last_phase for report in found] == [None, None, True, True]
    main, last = seen[: 2 * steps], seen[2 * steps :]
    assert {(one["frames"], one["masks"]) for one in main} == {(40, True)}
    assert {(one["frames"], one["masks"]) for one in last} == {(56, False)}
    assert all("distillation" in one for one in main)
    assert {(one["margin"], one["lr"]) for one in last} == {(0.4, 1e-4)}
    # The loss is that of the classification alone, with its whole weight.
    assert all(one["total"] == one["classification"] for one in last)
    assert found[2].loss_distillation is None
    assert found[2].classification_share == 1.0


def test_the_last_phase_begins_with_the_weights_that_were_kept(data: TrainingData) -> None:
    trainer = trainer_of(data)
    for _ in range(2):
        trainer.run_epoch()
    kept = {name: each.clone() for name, each in trainer.step.weights().items()}
    differs = trainer.step.trained_weights()
    name = next(iter(kept))
    assert not torch.equal(kept[name], differs[name])
    trainer._begin_phase()
    begun = trainer.step.trained_weights()
    assert all(torch.equal(begun[each], tensor) for each, tensor in kept.items())
    trainer.run_epoch()
    # The average begins again: it is the end of this epoch alone.
    assert torch.equal(trainer.step.weights()[name], trainer.step.trained_weights()[name])


@pytest.mark.parametrize("stopped_after", [2, 3])
def test_a_stopped_run_restores_its_phase_bit_for_bit(
    data: TrainingData, tmp_path: Path, stopped_after: int
) -> None:
    undisturbed, stopped = trainer_of(data), trainer_of(data)
    for _ in range(4):
        undisturbed.run_epoch()
    for _ in range(stopped_after):
        stopped.run_epoch()
    CheckpointFolder(tmp_path).save(stopped)
    restored = trainer_of(data)
    assert CheckpointFolder(tmp_path).restore(restored) == []
    for _ in range(4 - stopped_after):
        restored.run_epoch()
    names = ("loss_total", "veer_pct", "is_last_phase", "lr")
    for mine, expected in zip(restored.history, undisturbed.history, strict=True):
        assert [getattr(mine, name) for name in names] == [
            getattr(expected, name) for name in names
        ]
    weights = undisturbed.step.weights()
    assert all(torch.equal(each, weights[name]) for name, each in restored.step.weights().items())
    message = r"max_epochs must stay as it is .* got 5 for a run of 4"
    with pytest.raises(TrainingError, match=message):
        trainer_of(data, max_epochs=5).load_state(stopped.state())


def test_patience_brings_the_last_phase_forward(data: TrainingData) -> None:
    trainer = trainer_of(data, max_epochs=9, lr=1e-9, average_last=0)
    trainer.patience_epochs = 2
    while trainer.epoch < trainer.last_epoch:
        trainer.run_epoch()
    phases = [report.is_last_phase for report in trainer.history]
    main = phases.count(None)
    assert phases == [None] * main + [True] * 2
    assert main == main_epochs(trainer.config.training, trainer.history, 2) < 7


def test_no_copies_are_drawn_in_the_last_phase(data: TrainingData) -> None:
    copies = np.resize(data.val_row, len(data.train_row))
    # Rows of the validation list stand for those of copies.
    trainer = trainer_of(replace(data, copy_row=np.stack([data.train_row, copies], axis=1)))
    assert set(_rows(trainer)) & set(copies.tolist())
    trainer.objective.begin_last_phase(0.3)
    assert set(_rows(trainer)) <= set(data.train_row.tolist())


def _rows(trainer: Trainer) -> list[int]:
    """Return the rows of the crops that an epoch would train on."""
    batches = trainer._batches.epoch(np.random.default_rng(0))
    return [int(row) for batch in batches for row in batch.crops.row_B]
