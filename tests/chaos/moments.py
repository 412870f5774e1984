"""Random moments for faults of a driver: during start-up, training and the end."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.search.real_search import Driver, epochs_of, num_records

STARTUP_S = 9.0  # on two quiet cores a driver is 8 to 12 s from its start to its first epoch
DELAY_S = 0.06  # about two epochs of a tiny trial
ENDING_S = 0.4  # about what tables and study take


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A moment in the life of a driver.

    Attributes:
        after_s: Seconds after the start of the driver; None if another condition decides.
        num_epochs: Epochs that the journal must have, at least one of them by this driver.
        num_ended: Trials that must have ended.
        delay_s: Seconds to wait after the condition is met.
    """

    after_s: float | None = None
    num_epochs: int | None = None
    num_ended: int | None = None
    delay_s: float = 0.0

    def wait(self, driver: Driver, run: Path) -> bool:
        """Wait for the moment; return whether the driver still ran then."""
        before = epochs_of(run)
        while driver.is_up and not self._has_come(driver, run, before):
            time.sleep(0.02)
        time.sleep(self.delay_s)
        return driver.is_up

    def _has_come(self, driver: Driver, run: Path, before: int) -> bool:
        if self.after_s is not None:
            return time.time() - driver.started_s >= self.after_s
        if self.num_ended is not None:
            return num_records(run, "trial_ended") >= self.num_ended
        return epochs_of(run) > before and epochs_of(run) >= (self.num_epochs or 0)


def draw_moments(
    rng: np.random.Generator, *, num_startup: int, num_training: int, num_epochs: int
) -> list[Moment]:
    """Draw moments in the order in which a search reaches them.

    The moments of start-up are at random positions among those of training.

    Args:
        rng: Source of all random choices.
        num_startup: Moments in the first seconds of a driver.
        num_training: Moments in the training, at most one for each epoch.
        num_epochs: Epochs of an undisturbed search.
    """
    # The last fifth is not used: each driver trains an epoch or two before it is killed.
    epochs = np.sort(rng.choice(int(0.8 * num_epochs), size=num_training, replace=False))
    training = [
        Moment(num_epochs=int(epoch) + 1, delay_s=float(rng.uniform(0, DELAY_S)))
        for epoch in epochs
    ]
    positions = np.sort(rng.integers(0, num_training + 1, size=num_startup))
    moments = list(training)
    for position in reversed(positions):
        moments.insert(int(position), Moment(after_s=float(rng.uniform(0.1, STARTUP_S))))
    return moments


def draw_ending(rng: np.random.Generator, num_trials: int) -> Moment:
    """Draw a moment after the last trial's end, while tables and study are written."""
    return Moment(num_ended=num_trials, delay_s=float(rng.uniform(0, ENDING_S)))
