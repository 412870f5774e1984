"""The average of the weights: its numbers, what is kept of it, what a stopped run restores."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spaces.files.errors import CheckpointError, DivergedError, TrainingError
from tests.worlds.tiny_models import LSTM, MIXER
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.loading import load_speaker_model
from trainable.checkpoints.model_file import read_checkpoint
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.step.averaging import WeightAverage, decay_of
from trainable.training.trainer import Trainer
from trainable.verification.evaluation import validation_scores
from trainable.verification.metrics import equal_error_rate

CPU = torch.device("cpu")
RESNET = {"family": "resnet_se34l", "num_filters": 8, "encoder_type": "ASP"}


def trainer_of(
    data: TrainingData, ema_epochs: float = 0.5, model: dict[str, object] = MIXER
) -> Trainer:
    config = {
        "model": model,
        "loss": {"distillation": "none"},
        "training": {"batch_size": 8, "crop_frames": 40, "lr": 3e-3, "ema_epochs": ema_epochs},
    }
    return Trainer(TrialConfig.model_validate(config), data, device=CPU)


def plain_averages(values: list[float], decay: float) -> list[float]:
    """The average after each step, by the formula."""
    found = [values[0]]
    for number, value in enumerate(values[1:], start=1):
        kept = min(decay, (1 + number) / (10 + number))
        found.append(kept * found[-1] + (1 - kept) * value)
    return found


def set_all(module: nn.Module, value: float) -> None:
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.fill_(value)


def all_weights(trainer: Trainer) -> dict[str, Tensor]:
    """The averages, then the trained weights under names of their own."""
    trained = {f"trained {k}": v for k, v in trainer.step.trained_weights().items()}
    return trainer.step.weights() | trained


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9])
def test_weights_and_batch_statistics_are_averaged_and_counters_copied(decay: float) -> None:
    module = nn.BatchNorm1d(3)
    average = WeightAverage([module], decay)
    values = [float(each) for each in np.random.default_rng(0).integers(-50, 50, 40)]
    for value, expected in zip(values, plain_averages(values, decay), strict=True):
        set_all(module, value)
        average.update()
        (found,) = average.averaged
        for name in ("weight", "bias", "running_mean", "running_var"):
            torch.testing.assert_close(getattr(found, name), torch.full((3,), expected))
        assert int(found.num_batches_tracked) == value
    assert average.num_updates == 40


def test_after_the_time_constant_a_weight_counts_one_eth() -> None:
    decay = decay_of(ema_epochs=1.5, steps_per_epoch=40)
    assert decay**60 == pytest.approx(1 / math.e)
    assert decay_of(ema_epochs=1e-300, steps_per_epoch=1) == 0


def test_the_average_at_the_end_of_an_epoch_is_that_of_its_steps(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(data)
    name, weights = "__S__.embedding.weight", []
    update = trainer.step._average.update

    def recorded() -> None:
        weights.append(trainer.step.trained_weights()[name].double().numpy().copy())
        update()

    monkeypatch.setattr(trainer.step._average, "update", recorded)
    for _ in range(4):
        trainer.run_epoch()
    steps = len(data.train_row) // 8
    # From the tenth step on the decay is no longer that of the start.
    assert len(weights) == 4 * steps > 10
    decay = math.exp(-1 / (0.5 * steps))
    expected = weights[0]
    for number, each in enumerate(weights[1:], start=1):
        kept = min(decay, (1 + number) / (10 + number))
        expected = kept * expected + (1 - kept) * each
    np.testing.assert_allclose(trainer.step.weights()[name].numpy(), expected, atol=1e-6)
    assert np.abs(expected - weights[-1]).max() > 1e-4


def test_training_goes_on_with_the_weights_as_they_are(data: TrainingData) -> None:
    plain, averaged = trainer_of(data, ema_epochs=0), trainer_of(data)
    for _ in range(2):
        assert averaged.run_epoch().loss_total == plain.run_epoch().loss_total
    for name, tensor in plain.step.weights().items():
        assert torch.equal(averaged.step.trained_weights()[name], tensor), name
    assert plain.evaluated is plain.model
    assert plain.step.trained_weights() == {}
    assert "trained_weights" not in plain.state()["veer"]["step"]


@pytest.mark.parametrize("model", [MIXER, RESNET, LSTM], ids=lambda model: model["family"])
def test_the_file_has_the_average_under_the_names_that_readers_know(
    data: TrainingData, tmp_path: Path, model: dict[str, object]
) -> None:
    """What is loaded for evaluation, export, benchmark or as a teacher is what was evaluated."""
    trainer, plain = trainer_of(data, model=model), trainer_of(data, 0, model)
    for _ in range(2):
        report = trainer.run_epoch()
    file = CheckpointFolder(tmp_path).save(trainer)
    loaded = load_speaker_model(file)
    scores = validation_scores(loaded.model, data, num_crops=2, device=CPU)
    if "num_frames" in model:  # the others are evaluated on longer crops than they train on
        assert equal_error_rate(scores, data.val_is_target) == report.veer_pct
    own = trainer.evaluated.state_dict()
    assert all(torch.equal(own[name], each) for name, each in loaded.model.state_dict().items())
    centres_KD = trainer.step._average.averaged[1].weight
    assert torch.equal(loaded.centres_KD, centres_KD)
    assert not torch.equal(centres_KD, trainer.objective.classifier.weight)
    assert not torch.equal(next(loaded.model.parameters()), next(trainer.model.parameters()))
    names = read_checkpoint(file)["model_state_dict"].keys()
    assert names == plain.state()["model_state_dict"].keys()


@pytest.mark.parametrize("model", [MIXER, RESNET], ids=lambda model: model["family"])
def test_a_stopped_run_restores_trained_and_averaged_weights_bit_for_bit(
    data: TrainingData, tmp_path: Path, model: dict[str, object]
) -> None:
    undisturbed = trainer_of(data, model=model)
    reports = [undisturbed.run_epoch() for _ in range(2)]
    stopped = trainer_of(data, model=model)
    stopped.run_epoch()
    CheckpointFolder(tmp_path).save(stopped)
    restored = trainer_of(data, model=model)
    assert CheckpointFolder(tmp_path).restore(restored) == []
    before, again = all_weights(stopped), all_weights(restored)
    assert before.keys() == again.keys()
    assert all(torch.equal(before[name], again[name]) for name in before)
    for expected in reports[1:]:
        report = restored.run_epoch()
        assert (report.loss_total, report.veer_pct, report.dprime) == (
            expected.loss_total, expected.veer_pct, expected.dprime,
        )  # fmt: skip
    expected_weights, found = all_weights(undisturbed), all_weights(restored)
    assert all(torch.equal(expected_weights[name], found[name]) for name in found)


def test_a_run_continues_with_its_own_average_only(data: TrainingData, tmp_path: Path) -> None:
    plain = trainer_of(data, ema_epochs=0)
    plain.run_epoch()
    with pytest.raises(TrainingError, match=r"run of another config .* choose another output"):
        trainer_of(data).load_state(plain.state())
    averaged = trainer_of(data)
    averaged.run_epoch()
    state = averaged.state()
    del state["veer"]["step"]["trained_weights"]
    file = CheckpointFolder(tmp_path).file_of(1)
    file.parent.mkdir()
    torch.save(state, file)
    with pytest.raises(CheckpointError, match="do not fit: 'trained_weights'; restore it from"):
        CheckpointFolder(tmp_path).restore(trainer_of(data))


@pytest.mark.parametrize("part", ["averaged", "trained"])
def test_either_weights_that_are_not_finite_end_the_run(data: TrainingData, part: str) -> None:
    trainer = trainer_of(data)
    trainer.run_epoch()
    parts = {"averaged": trainer.evaluated, "trained": trainer.model}
    hook = trainer.step._average.update

    def spoil() -> None:
        hook()
        with torch.no_grad():
            next(iter(parts[part].parameters())).fill_(math.nan)

    # Only the last step may spoil the trained weights: the loss of a later one would be NaN.
    trainer.step._average.update = _at_call(len(data.train_row) // 8, hook, spoil)
    with pytest.raises(DivergedError, match=r"^a weight became NaN or infinite in epoch 2; lower"):
        trainer.run_epoch()
    assert trainer.epoch == 1


def test_a_model_that_cannot_be_copied_names_the_setting() -> None:
    class Fixed(nn.Linear):
        def __deepcopy__(self, memo: object) -> "Fixed":
            raise RuntimeError("this layer has a twin")

    message = r"RuntimeError: this layer has a twin; set training\.ema_epochs to 0"
    with pytest.raises(TrainingError, match=message):
        WeightAverage([Fixed(2, 2)], 0.9)


def _at_call(number, usual, special):
    """A function whose given call, counted from 1, is another function's."""
    calls = []

    def call() -> None:
        calls.append(1)
        (special if len(calls) == number else usual)()

    return call
