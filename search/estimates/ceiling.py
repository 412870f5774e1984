"""The most that early stopping can save with given rungs, whatever it knows. Needs no Ray."""

from collections.abc import Sequence
from itertools import pairwise

from results.analysis.rungs import asha_rungs
from search.config.sections import AUTO, SchedulerConfig
from search.estimates.forecast import rung_epochs

# A longer search is shown with so many times the epochs a trial.
LONGER = 2


def ceiling(rungs: Sequence[float], reduction_factor: float, max_epochs: int) -> float:
    """Return how many times the epochs of perfect stopping full-length trials would take.

    With perfect stopping the best trial passes every rung, and exactly one of `reduction_factor`
    trials goes on at each: the trials have the fewest epochs that the rungs allow.

    Args:
        rungs: Epochs at which trials are compared, ascending.
        reduction_factor: One of so many trials at a rung goes on.
        max_epochs: Epochs of a trial that is not stopped.
    """
    ends = [0, *rung_epochs(rungs, max_epochs), max_epochs]
    epochs = sum(
        (end - begin) / reduction_factor**passed
        for passed, (begin, end) in enumerate(pairwise(ends))
    )
    return max_epochs / epochs


def describe_ceiling(scheduler: SchedulerConfig, max_epochs: int) -> list[str]:
    """Return two lines: the ceiling of these rungs, and of a lower grace and longer trials.

    Empty without early stopping.
    """
    if scheduler.kind == "none":
        return []
    factor = scheduler.reduction_factor
    grace = scheduler.first_rung
    now = _of(grace, factor, max_epochs)
    marks = rung_epochs(asha_rungs(grace, factor, max_epochs), max_epochs)
    first = f"no rung lies before the last epoch, {max_epochs:,}: nothing is saved"
    if marks:
        first = (
            f"with rungs at epochs {', '.join(f'{each:,}' for each in marks)} of {max_epochs:,} "
            f"even perfect stopping saves at most a factor of {now:.1f}"
        )
    if max_epochs == 1:
        return [f"ceiling: {first}"]
    # A grace of `max_epochs` or more is none, however large it is.
    lower = max(1, round(min(grace, max_epochs) / factor))
    longer = LONGER * max_epochs
    options = []
    if lower < grace:
        options.append(f"{_of(lower, factor, max_epochs):.1f} with --grace-epochs {lower}")
    known = lower if scheduler.grace_epochs != AUTO else AUTO
    options.append(
        f"{_of(lower, factor, longer):.1f} with --grace-epochs {known} --max-epochs {longer}"
    )
    return [f"ceiling: {first}", f"ceiling: {', '.join(options)}"]


def _of(grace_epochs: int, factor: float, max_epochs: int) -> float:
    return ceiling(asha_rungs(grace_epochs, factor, max_epochs), factor, max_epochs)
