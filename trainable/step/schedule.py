"""Learning rate and margin of every step, as functions of the steps before it.

Nothing is accumulated, so a restored training needs no state of them but its number of epochs.
"""

import math
from functools import lru_cache
from typing import Any

from trainable.config.trial_config import LossConfig, TrainingConfig
from trainable.step.optimizers import set_lr
from trainable.step.step import TrainingStep

# Part of the way that an exponential rise of the margin lacks at its end. Source: WeSpeaker's
# `MarginScheduler` (wespeaker/utils/schedulers.py), whose 1e-6 belongs to it.
MARGIN_REST = 1e-3 / (1.0 + 1e-6)


class StepSchedule:
    """Sets the learning rate and the margin before every step.

    Args:
        training: Learning rates and their courses.
        loss: Margins and their course.
        step: The training step, whose optimizer and loss are set.
        steps_per_epoch: Steps of an epoch.

    Attributes:
        lr: Learning rate that was set last; before the first step that of the first one.
    """

    def __init__(
        self, training: TrainingConfig, loss: LossConfig, step: TrainingStep, steps_per_epoch: int
    ) -> None:
        self._training, self._loss, self._step = training, loss, step
        self._steps_per_epoch = steps_per_epoch
        self.lr = lr_after(training, 0, steps_per_epoch)

    def before_step(self, epoch: int, number: int) -> None:
        """Set the rate and the margin of a step.

        Args:
            epoch: Finished epochs.
            number: Steps of this epoch before it.
        """
        if self._step.objective.is_last_phase:
            self.lr = self._training.last_phase_lr
            set_lr(self._step.optimizer, self.lr)
            return
        done = epoch * self._steps_per_epoch + number
        self.lr = lr_after(self._training, done, self._steps_per_epoch)
        set_lr(self._step.optimizer, self.lr)
        if self._loss.margin_warmup_epochs:
            margin = margin_after(self._loss, done, self._steps_per_epoch)
            self._step.objective.set_margin(margin)

    def state(self, epoch: int) -> dict[str, Any]:
        """Return the rate after an epoch with the names of PyTorch's `StepLR`.

        It is for other readers of the file: `before_step` needs none of it.
        """
        training = self._training
        lr = lr_after(training, epoch * self._steps_per_epoch, self._steps_per_epoch)
        return {
            "step_size": training.lr_decay_every_epochs,
            "gamma": training.lr_decay,
            "base_lrs": [training.lr],
            "last_epoch": epoch,
            "_last_lr": [lr],
        }


def lr_after(training: TrainingConfig, done: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step.

    `step` counts whole epochs, as PyTorch's `StepLR` and voxceleb_trainer do. `exponential` falls
    from the first step on, `cosine` after the warm-up; both reach the final rate after the last
    step. The warm-up rises linearly from 0. Source: WeSpeaker's schedulers, which count steps.

    Args:
        training: The courses.
        done: Steps before it.
        steps_per_epoch: Steps of an epoch.
    """
    warmup = training.warmup_epochs * steps_per_epoch
    risen = done / warmup if done < warmup else 1.0
    total = training.planned_main_epochs * steps_per_epoch
    final = training.lr * training.final_lr_ratio
    match training.schedule:
        case "step":
            num_decays = done // steps_per_epoch // training.lr_decay_every_epochs
            return risen * _decayed(training.lr, training.lr_decay, num_decays)
        case "exponential":
            rest = math.exp(min(1.0, done / total) * math.log(training.final_lr_ratio))
            return risen * training.lr * rest
        case "cosine":
            if risen < 1.0:
                return risen * training.lr
            # Where the warm-up takes all epochs, its end is the end.
            way = min(1.0, (done - warmup) / max(total - warmup, 1.0))
            return final + 0.5 * (training.lr - final) * (1 + math.cos(math.pi * way))


def margin_after(loss: LossConfig, done: int, steps_per_epoch: int) -> float:
    """Return the margin of a step, radians.

    Args:
        loss: Its course.
        done: Steps before it.
        steps_per_epoch: Steps of an epoch.
    """
    begin = loss.margin_rises_after * steps_per_epoch
    length = loss.margin_warmup_epochs * steps_per_epoch
    if done >= begin + length:
        return loss.margin
    way = max(0.0, (done - begin) / length)
    if loss.margin_rise == "exponential":
        way = 1.0 - math.exp(way * math.log(MARGIN_REST))
    return loss.margin_initial + (loss.margin - loss.margin_initial) * way


@lru_cache(maxsize=8)
def _decayed(lr: float, factor: float, number: int) -> float:
    # Not `factor ** number`: StepLR multiplies once per decay, and each product is rounded.
    for _ in range(number):
        lr *= factor
    return lr
