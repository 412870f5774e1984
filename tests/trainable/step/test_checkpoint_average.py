"""The average of the last epochs: its numbers, what is kept of it, what a stopped run restores."""

from collections import deque
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from spaces.files.errors import TrainingError
from tests.worlds.tiny_models import MIXER
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.loading import load_speaker_model
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.step.checkpoint_average import EpochAverage
from trainable.training.trainer import Trainer
from trainable.verification.evaluation import validation_scores
from trainable.verification.metrics import equal_error_rate

CPU = torch.device("cpu")
NAME = "__S__.embedding.weight"


def trainer_of(data: TrainingData, average_last: int = 3) -> Trainer:
    training = {"batch_size": 8, "crop_frames": 40, "lr": 3e-3, "average_last": average_last}
    config = {"model": MIXER, "loss": {"distillation": "none"}, "training": training}
    return Trainer(TrialConfig.model_validate(config), data, device=CPU)


def test_the_average_is_over_the_last_ends_and_counters_are_copied() -> None:
    module = nn.BatchNorm1d(2)
    average, ends = EpochAverage([module], 3), deque[float](maxlen=3)
    for value in (1.0, 2.0, 4.0, 8.0, -5.0):
        with torch.no_grad():
            for tensor in module.state_dict().values():
                tensor.fill_(value)
        ends.append(value)
        average.update()
        average.end_epoch()
        (found,) = average.averaged
        for name in ("weight", "bias", "running_mean", "running_var"):
            expected = torch.full((2,), sum(ends) / len(ends))
            torch.testing.assert_close(found.state_dict()[name], expected)
        assert int(found.num_batches_tracked) == value
    average.restart()
    average.end_epoch()
    assert average.averaged[0].bias.tolist() == [-5.0, -5.0]


def test_what_is_evaluated_and_kept_is_the_average_and_a_stopped_run_restores_it(
    data: TrainingData, tmp_path: Path
) -> None:
    plain, trainer, checkpoints = trainer_of(data, 0), trainer_of(data), CheckpointFolder(tmp_path)
    ends: list[Tensor] = []
    for epoch in range(1, 6):
        expected = plain.run_epoch()
        report = trainer.run_epoch()
        # Training goes on with the weights as they are.
        assert report.loss_total == expected.loss_total
        ends.append(plain.step.weights()[NAME].double().clone())
        mean = torch.stack(ends[-3:]).mean(dim=0).float()
        assert torch.equal(trainer.step.weights()[NAME], mean)
        loaded = load_speaker_model(checkpoints.save(trainer))
        scores = validation_scores(loaded.model, data, num_crops=2, device=CPU)
        assert equal_error_rate(scores, data.val_is_target) == report.veer_pct
        # Every epoch by another process.
        trainer = trainer_of(data)
        assert checkpoints.restore(trainer) == []
        assert trainer.epoch == epoch
    assert not torch.equal(trainer.step.weights()[NAME], trainer.step.trained_weights()[NAME])
    assert len(trainer.state()["veer"]["step"]["earlier_weights"]) == 2


def test_a_model_that_cannot_be_copied_names_the_setting() -> None:
    class Fixed(nn.Linear):
        def __deepcopy__(self, memo: object) -> "Fixed":
            raise RuntimeError("this layer has a twin")

    message = r"training\.average_last > 0 needs .* has a twin; set training\.average_last to 0"
    with pytest.raises(TrainingError, match=message):
        EpochAverage([Fixed(2, 2)], 3)
