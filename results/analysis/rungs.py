"""The rungs of asynchronous successive halving: epochs at which trials are compared."""

from collections.abc import Mapping
from typing import Any

# Of the reason with which a trial ends that was stopped at one.
AT_RUNG = "the limit at rung"


def asha_rungs(grace_epochs: int, reduction_factor: float, max_epochs: int) -> list[float]:
    """Rungs below max_epochs; at max_epochs every trial is complete anyway.

    Args:
        grace_epochs: The first, at least 1.
        reduction_factor: From each to the next, above 1.
        max_epochs: Of a trial that is not stopped.
    """
    rungs: list[float] = []
    while (rung := grace_epochs * reduction_factor ** len(rungs)) < max_epochs:
        rungs.append(rung)
    return rungs


def rungs_of(settings: Mapping[str, Any]) -> list[float]:
    """Those of a search by its settings, as its journal has them; none without early stopping."""
    scheduler, last = settings.get("scheduler") or {}, settings.get("max_epochs")
    if scheduler.get("kind") != "asha" or last is None:
        return []
    grace, factor = scheduler["grace_epochs"], scheduler["reduction_factor"]
    if grace < 1 or factor <= 1:  # no search writes it, and there would be no end of rungs
        return []
    return asha_rungs(grace, factor, last)
