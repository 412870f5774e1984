"""The rungs of asynchronous successive halving: epochs at which trials are compared."""

from collections.abc import Mapping
from typing import Any

# A part of the `reason` in the `trial_ended` record of every trial that was stopped at a rung.
AT_RUNG = "the limit at rung"
# The setting of a search that moves its first rung; the lowest one is 1.
AUTO_GRACE = "auto"


def asha_rungs(grace_epochs: int, reduction_factor: float, max_epochs: int) -> list[float]:
    """Return the rungs below max_epochs, ascending, in epochs; not all are whole numbers.

    Args:
        grace_epochs: The first rung, at least 1.
        reduction_factor: Ratio of consecutive rungs, above 1.
        max_epochs: Epochs of a trial that is not stopped.
    """
    rungs: list[float] = []
    while (rung := grace_epochs * reduction_factor ** len(rungs)) < max_epochs:
        rungs.append(rung)
    return rungs


def rungs_of(settings: Mapping[str, Any]) -> list[float]:
    """Return the rungs of a search by its settings; none without early stopping.

    Args:
        settings: The settings as the journal has them.
    """
    scheduler, max_epochs = settings.get("scheduler") or {}, settings.get("max_epochs")
    if scheduler.get("kind") != "asha" or max_epochs is None:
        return []
    grace, factor = scheduler["grace_epochs"], scheduler["reduction_factor"]
    if grace == AUTO_GRACE:
        grace = 1
    # Only in a damaged journal: the loop of `asha_rungs` would not end.
    if grace < 1 or factor <= 1:
        return []
    return asha_rungs(grace, factor, max_epochs)
