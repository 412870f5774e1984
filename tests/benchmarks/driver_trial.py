"""Trials that do no work, for the benchmark `driver`: each epoch is a made-up VEER."""

import os
import platform
import time
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
from ray import tune

from search.ray_tune.checked_trial import CheckedTrial
from trainable.config.trial_config import TrialConfig
from trainable.cost.checkpoint_size import longest_report
from trainable.machine.hardware import describe_hardware
from trainable.training.ray_trial import CROWDED, DAMAGED, PLACEMENT

BEST_LR = 2e-3
NOISE_PCT = 0.3


def made_up_veer_pct(lr: float, epoch: int, rng: np.random.Generator) -> float:
    """Return a point of a learning curve, in percent: an `lr` near `BEST_LR` is good."""
    distance = abs(float(np.log10(lr / BEST_LR)))
    return 5 + 8 * distance + 20 / epoch + float(rng.normal(scale=NOISE_PCT))


class WorklessTrial(CheckedTrial):
    """A trial of a search, with all fields of an epoch's report, that trains nothing."""

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self._epoch = self._task.num_known
        self._config = TrialConfig.model_validate(self._task.config)
        self._rng = np.random.default_rng([self._task.trial, self._epoch])

    def _attempt(self) -> dict[str, Any]:
        first = {} if self._epoch > self._task.num_known else self._first()
        self._epoch += 1
        lr = self._config.training.lr
        veer_pct = made_up_veer_pct(lr, self._epoch, self._rng)
        # The separation of two normal distributions that have this EER.
        dprime = -2 * NormalDist().inv_cdf(veer_pct / 100)
        measured = {"veer_pct": veer_pct, "dprime": dprime, "num_params": 10_000}
        return longest_report(self._epoch - 1).as_dict() | measured | first

    def _first(self) -> dict[str, Any]:
        place = {
            "host": platform.node(),
            "pid": os.getpid(),
            "device": "cpu",
            "num_threads": self._task.num_threads,
            "num_cpus": self._task.num_cpus,
            "num_gpus": self._task.num_gpus,
            "hardware": describe_hardware(),
            "config_hash": self._config.config_hash(),
            "model_hash": "",
            "had_s": time.monotonic() - self._setup_s,
        }
        return {PLACEMENT: place, DAMAGED: [], CROWDED: None}


class PlainTrial(tune.Trainable):
    """The same for plain Ray Tune: the VEER alone."""

    def setup(self, config: Mapping[str, Any]) -> None:
        self._lr, self._epoch = config["lr"], 0
        self._rng = np.random.default_rng(round(1e9 * self._lr))

    def reset_config(self, new_config: Mapping[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, float]:
        self._epoch += 1
        return {"veer_pct": made_up_veer_pct(self._lr, self._epoch, self._rng)}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        del checkpoint_dir
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        pass
