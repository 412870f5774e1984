"""Learning rates and margins against PyTorch's schedulers, WeSpeaker's formulas and by hand."""

import math
import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    StepLR,
)

from tests.worlds.tiny_models import TINY_MIXER
from trainable.config.trial_config import LossConfig, TrainingConfig, TrialConfig
from trainable.features.training_data import TrainingData
from trainable.step.schedule import lr_after, margin_after
from trainable.training.trainer import Trainer

STEPS = 7
CPU = torch.device("cpu")


def rates_of(training: TrainingConfig, num_steps: int) -> list[float]:
    return [lr_after(training, done, STEPS) for done in range(num_steps)]


def torchs_rates(scheduler: type[LRScheduler], num: int, lr: float, *args: Any) -> list[float]:
    """The rates of a scheduler of PyTorch at the start and after each of its steps."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    schedule, found = scheduler(optimizer, *args), []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
        for _ in range(num):
            found.append(optimizer.param_groups[0]["lr"])
            schedule.step()
    return found


@pytest.mark.parametrize(("decay", "every"), [(0.95, 5), (0.85, 1), (1 / 3, 2), (1.0, 3)])
def test_steps_are_to_the_last_bit_those_of_step_lr(decay: float, every: int) -> None:
    training = TrainingConfig(lr=1e-3 / 7, lr_decay=decay, lr_decay_every_epochs=every)
    expected = torchs_rates(StepLR, 60, training.lr, every, decay)
    found = rates_of(training, 60 * STEPS)
    assert found == [rate for rate in expected for _ in range(STEPS)]


def test_cosine_is_that_of_pytorch() -> None:
    training = TrainingConfig(max_epochs=9, schedule="cosine", lr=0.02, final_lr_ratio=0.1)
    expected = torchs_rates(CosineAnnealingLR, 9 * STEPS, 0.02, 9 * STEPS, 0.002)
    assert rates_of(training, 9 * STEPS) == pytest.approx(expected, rel=1e-9)
    assert lr_after(training, 9 * STEPS, STEPS) == pytest.approx(0.002)


def test_exponential_is_that_of_pytorch() -> None:
    training = TrainingConfig(max_epochs=9, schedule="exponential", lr=0.1, final_lr_ratio=5e-4)
    factor = 5e-4 ** (1 / (9 * STEPS))
    expected = torchs_rates(ExponentialLR, 9 * STEPS, 0.1, factor)
    assert rates_of(training, 9 * STEPS) == pytest.approx(expected, rel=1e-9)


def test_exponential_with_warm_up_is_that_of_wespeaker() -> None:
    """`ExponentialDecrease` with `warm_from_zero`, from its formula."""
    training = TrainingConfig(
        max_epochs=150, schedule="exponential", lr=0.1, final_lr_ratio=5e-4, warmup_epochs=6
    )
    for step in (0, 1, 20, 41, 42, 43, 500, 150 * STEPS - 1):
        coefficient = step / (6 * STEPS) if step < 6 * STEPS else 1.0
        expected = coefficient * 0.1 * math.exp(step / (150 * STEPS) * math.log(5e-5 / 0.1))
        assert lr_after(training, step, STEPS) == pytest.approx(expected, rel=1e-12)


def test_warm_up_is_that_of_pytorch_and_the_cosine_begins_after_it() -> None:
    training = TrainingConfig(max_epochs=9, schedule="cosine", lr=0.02, warmup_epochs=2)
    risen = torchs_rates(LinearLR, 2 * STEPS, 0.02, 1e-12, 1.0, 2 * STEPS)
    fallen = torchs_rates(CosineAnnealingLR, 7 * STEPS, 0.02, 7 * STEPS, 0.0002)
    assert rates_of(training, 9 * STEPS) == pytest.approx([*risen, *fallen], rel=1e-9, abs=1e-13)
    step = TrainingConfig(lr=0.02, warmup_epochs=0.5, lr_decay=0.5, lr_decay_every_epochs=1)
    assert [lr_after(step, done, 4) for done in range(6)] == [0, 0.01, 0.02, 0.02, 0.01, 0.01]


@pytest.mark.parametrize("rise", ["exponential", "linear"])
def test_the_margin_rises_as_in_wespeaker(rise: str) -> None:
    """`MarginScheduler` with increase_start_epoch 21 and fix_start_epoch 41, from its code."""
    loss = LossConfig(
        margin=0.2, margin_initial=0.05, margin_rises_after=20, margin_warmup_epochs=20,
        margin_rise=rise,
    )  # fmt: skip
    for step in (0, 20 * STEPS - 1, 20 * STEPS, 200, 201, 250, 41 * STEPS, 1000):
        if step >= 40 * STEPS:
            expected = 0.2
        elif step >= 20 * STEPS:
            way = (step - 20 * STEPS) / (20 * STEPS)
            if rise == "exponential":
                way = 1.0 - math.exp(way * math.log(1e-3 / (1.0 + 1e-6))) * 1.0
            expected = 0.05 + (0.2 - 0.05) * way
        else:
            expected = 0.05
        assert margin_after(loss, step, STEPS) == pytest.approx(expected, rel=1e-12)


def test_a_training_has_the_rate_and_the_margin_of_each_step(data: TrainingData) -> None:
    ramp = {"margin": 0.3, "margin_warmup_epochs": 1.5, "margin_rise": "linear"}
    training = {"max_epochs": 3, "schedule": "cosine", "warmup_epochs": 0.5, "lr": 0.01}
    tree = TINY_MIXER | {
        "loss": TINY_MIXER["loss"] | ramp,
        "training": TINY_MIXER["training"] | training,
    }
    config, seen = TrialConfig.model_validate(tree), []
    trainer = Trainer(config, data, device=CPU)
    run = trainer.step.run

    def recorded(batch: Any, meter: Any) -> Any:
        seen.append((trainer.step.optimizer.param_groups[0]["lr"], trainer.objective.margin))
        return run(batch, meter)

    trainer.step.run = recorded
    reports = [trainer.run_epoch() for _ in range(3)]
    steps = len(data.train_row) // 8
    expected = [
        (lr_after(config.training, done, steps), margin_after(config.loss, done, steps))
        for done in range(3 * steps)
    ]
    assert seen == expected
    assert [report.lr for report in reports] == [expected[n * steps - 1][0] for n in (1, 2, 3)]
    assert trainer.state()["scheduler_state_dict"]["last_epoch"] == 3


def test_a_margin_in_the_memory_of_a_device_gives_the_same_loss(data: TrainingData) -> None:
    ramp = {"margin": 0.3, "margin_warmup_epochs": 2}
    tree = TINY_MIXER | {"loss": TINY_MIXER["loss"] | ramp}
    plain, kept = (Trainer(TrialConfig.model_validate(tree), data, device=CPU) for _ in range(2))
    kept.objective.keep_margin_on(CPU)
    assert isinstance(kept.objective.margin, torch.Tensor)
    for _ in range(2):
        assert kept.run_epoch().loss_total == pytest.approx(plain.run_epoch().loss_total, rel=1e-5)
