"""NePS 0.17 for the benchmark `search`: PriorBand; run as a script.

Hyperband brackets, defaults of the tool; its fidelity are the epochs, from 1 to the last. A config
that is promoted continues where it stopped. `first` may have one config, which is the prior of
every parameter that it has, with the tool's default confidence.
"""

import logging
import random
from typing import Any

import neps
import numpy as np
import torch
from neps import HPOCategorical, HPOFloat, HPOInteger, SearchSpace
from protocol import CHANCE_PCT, serve

EPOCH = "epoch"


class Neps:
    """A search through NePS's ask-and-tell interface."""

    def __init__(self, asked: dict[str, Any]) -> None:
        # It draws from the global generators.
        seed = asked["seed"] % 2**32
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        prior = asked["first"][0] if asked["first"] else {}
        space = SearchSpace(
            {each["name"]: _parameter(each, prior) for each in asked["space"]}
            | {EPOCH: HPOInteger(1, asked["max_epochs"], is_fidelity=True)}
        )
        self._search = neps.AskAndTell(neps.algorithms.priorband(space))
        self._numbers: dict[str, int] = {}
        self._figures: dict[int, float] = {}
        self._epochs: dict[int, int] = {}
        self._ended: set[int] = set()
        self._asked: Any = None

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return the next trial that needs epochs it has not had."""
        while True:
            asked = self._search.ask()
            before = asked.metadata.previous_trial_id
            number = self._numbers[before] if before else len(set(self._numbers.values()))
            self._numbers[asked.metadata.id] = number
            self._asked = asked
            if number not in self._ended and asked.config[EPOCH] > self._epochs.get(number, 0):
                params = {k: _plain(v) for k, v in asked.config.items() if k != EPOCH}
                return number, params
            self._search.tell(asked, {"objective_to_minimize": self._figures[number]})

    def tell(self, trial: int, epoch: int, figure_pct: float, *, diverged: bool) -> bool:
        """Pass the result of the last epoch of the fidelity on; a diverged one at chance level."""
        figure = CHANCE_PCT if diverged else figure_pct
        self._figures[trial], self._epochs[trial] = figure, epoch
        if diverged:
            self._ended.add(trial)
        if not diverged and epoch < self._asked.config[EPOCH]:
            return True
        self._search.tell(self._asked, {"objective_to_minimize": figure})
        return False


def _parameter(each: dict[str, Any], prior: dict[str, Any]) -> Any:
    own = {"prior": prior[each["name"]]} if each["name"] in prior else {}
    if each["type"] == "choice":
        return HPOCategorical(each["choices"], **own)
    if each["type"] == "int":
        return HPOInteger(each["low"], each["high"], **own)
    return HPOFloat(each["low"], each["high"], log=each["log"], **own)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    serve(Neps)
