"""Bank A: real training curves of TaskSet's text tasks, with noise added.

The file in $VEER_TASKSET has for each of 12 tasks 1,000 configs of an optimizer (`TASK/hp`, named
in `hp_names`) and the validation loss after each of 50 epochs (`TASK/valid_loss`). All configs
take part. The loss of two balanced classes is ln 2 at chance, so 50 * loss / ln 2, at most 50, is
used as VEER; a run without a finite loss has diverged from there. A search sees it with
independent noise for each epoch and a constant for each run, each normal with 0.3 times the
standard deviation of the last values of the configs that end below 49 %. The true value has none.

Optimizer settings are no settings of a student: the eight dimensions are named after numbers of a
trial's config, and their values are places on the log axes of the optimizer's settings.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from spaces.dimensions import Float
from spaces.space import Space
from tests.benchmarks.search_problem import Floats, NearestConfigs, Student

NOISE = 0.3
CHANCE_PCT = 50.0
LEARNED_PCT = 49.0
LOW, HIGH = 0.01, 0.99
STAND_INS = ("training.lr", "loss.margin", "loss.alpha", "loss.scale", "loss.temperature",
             "loss.target_weight", "loss.nontarget_weight", "training.weight_decay")  # fmt: skip
SPACE = Space(
    name="taskset",
    fixed={"loss": {"distillation": "dkd"}},
    dimensions=tuple(Float(name=name, low=LOW, high=HIGH) for name in STAND_INS),
)
# On the optimizer's log axes; beta1 and beta2 by their distance from 1.
RANGES = {
    "learning_rate": (1e-8, 1e1),
    "beta1": (1e-4, 1.0),
    "beta2": (1e-6, 1.0),
    "epsilon": (1e-10, 1e3),
    "l1": (1e-8, 1e1),
    "l2": (1e-8, 1e1),
    "linear_decay": (1e-7, 1e-4),
    "exponential_decay": (1e-6, 1e-3),
}


class Task:
    """One task of the bank, loaded once.

    Args:
        bank: The opened file.
        name: The task.
    """

    def __init__(self, bank: Any, name: str) -> None:
        self.name = name
        names = [str(each) for each in bank["hp_names"]]
        self.params = [_params(dict(zip(names, row, strict=True))) for row in bank[f"{name}/hp"]]
        true_pct = CHANCE_PCT * bank[f"{name}/valid_loss"].astype(float) / math.log(2)
        # Once not finite, never again: the run has diverged.
        bad = np.logical_or.accumulate(~np.isfinite(true_pct), axis=1)
        self.true_pct = np.where(bad, np.nan, np.minimum(true_pct, CHANCE_PCT))
        last = self.true_pct[:, -1]
        self.noise_pct = NOISE * float(np.std(last[last < LEARNED_PCT]))
        self.configs = NearestConfigs(SPACE, self.params)


class TasksetProblem:
    """A search of one task, with the noise of one seed."""

    space = SPACE

    def __init__(self, task: Task, seed: int) -> None:
        self.max_epochs = task.true_pct.shape[1]
        self._task, self._seed = task, seed
        task.configs.renew()

    def student(self, params: Any) -> Student | None:
        """Return the nearest config's curve, None if the bank is used up."""
        number = self._task.configs.take(params)
        return None if number is None else self.nth(number)

    def nth(self, number: int) -> Student:
        """Return the curve of a config by its number."""
        rng = np.random.default_rng((self._seed, number))
        true_pct: Floats = self._task.true_pct[number]
        noise = rng.normal(size=1 + self.max_epochs) * self._task.noise_pct
        seen = np.clip(true_pct + noise[0] + noise[1:], 0.1, CHANCE_PCT)
        return Student(veer_pct=seen, dprime=None, true_pct=true_pct, epoch_s=1.0)


def load_tasks(file: Path) -> list[Task]:
    """Return all tasks of the file, in the order of their names."""
    with np.load(file) as bank:
        names = sorted({key.split("/")[0] for key in bank if "/" in key})
        return [Task(bank, name) for name in names]


def _params(settings: dict[str, float]) -> dict[str, float]:
    places = []
    for name, (low, high) in RANGES.items():
        value = 1 - settings[name] if name.startswith("beta") else settings[name]
        place = math.log(max(value, low) / low) / math.log(high / low)
        places.append(LOW + (HIGH - LOW) * min(1.0, place))
    return dict(zip(STAND_INS, places, strict=True))
