"""SMAC 2.4 for the benchmark `search`: its multi-fidelity facade; run as a script.

Hyperband with a random forest, defaults of the tool; budgets are epochs from 1 to the last. A
config that is promoted continues where it stopped, which the tool leaves to its user.
"""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import (
    AndConjunction,
    Categorical,
    ConfigurationSpace,
    Float,
    InCondition,
    Integer,
)
from protocol import CHANCE_PCT, serve
from smac import MultiFidelityFacade, Scenario
from smac.runhistory.dataclasses import TrialInfo, TrialValue

MANY = 1_000_000


class Smac:
    """A search of SMAC's ask-and-tell interface."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="smac-"))
        space = _space(asked["space"], asked["seed"])
        scenario = Scenario(
            space,
            deterministic=True,
            n_trials=MANY,
            min_budget=1,
            max_budget=asked["max_epochs"],
            seed=asked["seed"] % 2**31,
            output_directory=self._folder,
        )
        self._smac = MultiFidelityFacade(scenario, _never_called, overwrite=True, logging_level=50)
        self._numbers: dict[Any, int] = {}
        self._figures: dict[int, float] = {}
        self._epochs: dict[int, int] = {}
        self._ended: set[int] = set()
        self._asked: TrialInfo | None = None

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return the next trial that needs epochs it has not had."""
        while True:
            info = self._smac.ask()
            number = self._numbers.setdefault(info.config, len(self._numbers))
            done = self._epochs.get(number, 0)
            if number not in self._ended and _epochs(info) > done:
                self._asked = info
                return number, {k: _plain(v) for k, v in dict(info.config).items()}
            self._smac.tell(info, TrialValue(cost=self._figures[number]))

    def tell(self, trial: int, epoch: int, figure_pct: float, *, diverged: bool) -> bool:
        """Pass the result of the last epoch of the budget on; a diverged one at chance level."""
        assert self._asked is not None
        figure = CHANCE_PCT if diverged else figure_pct
        self._figures[trial], self._epochs[trial] = figure, epoch
        if diverged:
            self._ended.add(trial)
        if not diverged and epoch < _epochs(self._asked):
            return True
        self._smac.tell(self._asked, TrialValue(cost=figure))
        return False

    def __del__(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _epochs(info: TrialInfo) -> int:
    assert info.budget is not None
    return max(1, round(info.budget))


def _never_called(config: Any, seed: int = 0, budget: float = 0) -> float:
    raise NotImplementedError


def _space(dimensions: list[dict[str, Any]], seed: int) -> ConfigurationSpace:
    space = ConfigurationSpace(seed=seed % 2**31)
    made = {}
    for each in dimensions:
        name = each["name"]
        if each["type"] == "choice":
            made[name] = Categorical(name, each["choices"])
        elif each["type"] == "int":
            made[name] = Integer(name, (each["low"], each["high"]))
        else:
            made[name] = Float(name, (each["low"], each["high"]), log=each["log"])
        space.add(made[name])
    for each in dimensions:
        conditions = [
            InCondition(made[each["name"]], made[parameter], values)
            for parameter, values in each["when"].items()
        ]
        if conditions:
            space.add(conditions[0] if len(conditions) == 1 else AndConjunction(*conditions))
    return space


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    serve(Smac)
