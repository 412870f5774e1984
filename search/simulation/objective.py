"""The trials of a simulated search: what each epoch of a config gives, and how long it takes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from search.loop.trial_course import TrialCourse


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTrial:
    """The whole course of a trial, as far as it could be trained.

    Attributes:
        veer_pct: VEER after each epoch, percent; NaN where the trial diverges.
        dprime: d' after each epoch; empty if there is none.
        epoch_s: Simulated seconds of an epoch.
        setup_s: Simulated seconds before the first epoch.

    Raises:
        ValueError: There is no epoch, the d' are not as many as the VEERs, an epoch takes no
            time, or the set-up less than none.
    """

    veer_pct: Sequence[float]
    dprime: Sequence[float] = ()
    epoch_s: float = 1.0
    setup_s: float = 0.0

    def __post_init__(self) -> None:
        """Check the lengths and the time."""
        if not len(self.veer_pct):
            raise ValueError("a simulated trial must have an epoch, got none")
        if len(self.dprime) not in (0, len(self.veer_pct)):
            raise ValueError(
                f"one d' for each of {len(self.veer_pct)} epochs or none at all is needed, got "
                f"{len(self.dprime)}"
            )
        # `not >` also refuses NaN.
        if not self.epoch_s > 0 or math.isinf(self.epoch_s):
            raise ValueError(f"epoch_s must be above 0 and finite, got {self.epoch_s}")
        if not 0 <= self.setup_s < math.inf:
            raise ValueError(f"setup_s must be 0 or above and finite, got {self.setup_s}")

    def fields(self, epoch: int) -> dict[str, float]:
        """Return what an epoch reports beside its VEER, as `Coordinator.report` takes it."""
        found = {"train_s": self.epoch_s}
        if len(self.dprime):
            found["dprime"] = self.dprime[epoch - 1]
        return found


class SimulatedObjective(Protocol):
    """What a simulated search trains."""

    def trial(self, course: TrialCourse) -> SimulatedTrial | None:
        """Return the course of a trial that starts.

        Args:
            course: The trial; its suggestion has the params, its config the seed.

        Returns:
            None if there is nothing left to train: no further trial is started.
        """
