"""Syne Tune 0.16 for the benchmark `search`: ASHA with CQR, and BOHB; run as a script.

Both with the defaults of the tool: grace period 1, reduction factor 3, one bracket.
"""

import datetime
import logging
from typing import Any

import numpy as np
from protocol import CHANCE_PCT, serve
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, loguniform, randint, uniform
from syne_tune.optimizer.baselines import ASHACQR, BOHB
from syne_tune.optimizer.scheduler import SchedulerDecision

KINDS = {"asha_cqr": ASHACQR, "bohb": BOHB}
EPOCH, FIGURE = "epoch", "figure_pct"


class SyneTune:
    """A scheduler of Syne Tune, called as its tuner calls it."""

    def __init__(self, asked: dict[str, Any]) -> None:
        # Its searchers draw some numbers from NumPy's global generator.
        np.random.seed(asked["seed"] % 2**32)  # noqa: NPY002
        self._scheduler = KINDS[asked["kind"]](
            {each["name"]: _domain(each) for each in asked["space"]},
            metric=FIGURE,
            time_attr=EPOCH,
            max_t=asked["max_epochs"],
            random_seed=asked["seed"] % 2**32,
        )
        self._trials: list[Trial] = []

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Return a new trial: stopped ones are not continued."""
        suggestion = self._scheduler.suggest()
        number = len(self._trials)
        now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self._trials.append(Trial(number, suggestion.config, now))
        self._scheduler.on_trial_add(self._trials[number])
        return number, {name: _plain(value) for name, value in suggestion.config.items()}

    def tell(self, trial: int, epoch: int, figure_pct: float, *, diverged: bool) -> bool:
        """Pass the result on; a diverged trial counts at chance level and ends."""
        result = {EPOCH: epoch, FIGURE: CHANCE_PCT if diverged else figure_pct}
        decision = self._scheduler.on_trial_result(self._trials[trial], result)
        return decision == SchedulerDecision.CONTINUE and not diverged


def _domain(each: dict[str, Any]) -> Any:
    if each["type"] == "choice":
        return choice(each["choices"])
    if each["type"] == "int":
        return randint(each["low"], each["high"])
    return (loguniform if each["log"] else uniform)(each["low"], each["high"])


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    serve(SyneTune)
