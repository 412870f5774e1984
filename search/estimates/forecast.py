"""A forecast of the epochs that a search with early stopping needs; independent of Ray.

SuccessiveHalving's rule is simulated on random trials. The assumptions: the trials come in random
order of quality, as from a sampler that has learnt nothing; the VEERs are evenly spread and the
same at every rung, so no learning curve overtakes another; every epoch takes equally long; no
trial fails. Trials then reach each rung in the order of their start, so the number that runs at
the same time has no effect. A sampler that learns proposes better trials later, and more of them
go on: the forecast gives an order of magnitude only.
"""

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.loop.early_stopping import SuccessiveHalving

# The three limits keep a forecast below a second, since it runs before every search.
MAX_SIMULATED_TRIALS = 20_000
MAX_SIMULATIONS, MIN_SIMULATIONS = 200, 5
# Decisions of all simulations together: about half a second.
MAX_DECISIONS = 150_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RungForecast:
    """The forecast for one rung.

    Attributes:
        epoch: The epoch after which trials are compared.
        num_reaching: Trials that reach it, on average.
        num_going_on: Trials that reach it and are not stopped there, on average.
    """

    epoch: int
    num_reaching: float
    num_going_on: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The epochs that a search will run.

    Attributes:
        epochs: Epochs of all trials together, on average.
        epochs_low: The 5th percentile over the simulations.
        epochs_high: The 95th percentile.
        full_epochs: Epochs of all trials without early stopping.
        max_epochs: Epochs of a trial that is not stopped.
        num_complete: Trials that run for `max_epochs`, on average.
        rungs: The rungs, in ascending order.
    """

    epochs: float
    epochs_low: float
    epochs_high: float
    full_epochs: int
    max_epochs: int
    num_complete: float
    rungs: tuple[RungForecast, ...]


def forecast(
    num_trials: int,
    max_epochs: int,
    rungs: Sequence[float],
    reduction_factor: float,
    *,
    seed: int = 0,
    num_simulations: int | None = None,
) -> Forecast:
    """Simulate the early stopping of a search, in well under a second.

    Without a rung below max_epochs the result is exact. Of more than 20,000 trials, 20,000 are
    simulated; the counts are scaled up, and the spread by the square root of that scale.

    Args:
        num_trials: All trials of the search, at least 1.
        max_epochs: Epochs of a trial that is not stopped, at least 1.
        rungs: Epochs at which trials are compared, ascending.
        reduction_factor: About one in `reduction_factor` trials at a rung goes on.
        seed: Seed of the random qualities.
        num_simulations: Simulated searches; None for 200, or fewer for a large search.

    Raises:
        ValueError: A count is below 1, or SuccessiveHalving rejects rungs or factor.
    """
    counts = {"num_trials": num_trials, "max_epochs": max_epochs}
    if num_simulations is not None:
        counts["num_simulations"] = num_simulations
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    SuccessiveHalving(rungs, reduction_factor)  # Rejects what the search would reject.
    marks = rung_epochs(rungs, max_epochs)
    num_simulated = min(num_trials, MAX_SIMULATED_TRIALS)
    if num_simulations is None:
        decisions = num_simulated * (1 + len(marks) / reduction_factor)
        affordable = max(MIN_SIMULATIONS, int(MAX_DECISIONS / decisions))
        num_simulations = min(MAX_SIMULATIONS, affordable)
    rng = np.random.default_rng(seed)
    ends = [*marks, max_epochs]
    reached = [
        simulate(rng.random(num_simulated).tolist(), len(marks), reduction_factor)
        for _ in range(num_simulations if marks else 0)
    ]
    return _summarize(reached, ends, num_trials / num_simulated, num_trials)


def describe(forecast: Forecast) -> list[str]:
    """Return the forecast in words: one line, or two where trials are stopped."""
    if not forecast.rungs:
        return [
            f"forecast: {forecast.full_epochs:,} epochs, every trial runs to epoch "
            f"{forecast.max_epochs:,}: no early stopping"
        ]
    first = (
        f"forecast: about {forecast.epochs:,.0f} of {forecast.full_epochs:,} epochs "
        f"({forecast.epochs_low:,.0f} to {forecast.epochs_high:,.0f})"
    )
    parts = [
        f"rung {rung.epoch:,}: {rung.num_reaching:,.0f} trials reach it, "
        f"about {rung.num_going_on:,.0f} go on"
        for rung in forecast.rungs
    ]
    last = f"{forecast.num_complete:,.0f} run to epoch {forecast.max_epochs:,}"
    return [first, "; ".join([*parts, last])]


def rung_epochs(rungs: Sequence[float], max_epochs: int) -> list[int]:
    """Return the epochs below max_epochs after which a trial is compared, ascending.

    They are the rungs rounded up. But a trial is compared only once an epoch: if several rungs
    fall on one epoch, SuccessiveHalving takes the highest first and the others in the next epochs.
    """
    waiting, epochs, epoch = sorted(rungs), list[int](), 0
    # As `SuccessiveHalving` does, which takes the highest rung reached that has no record.
    while waiting:
        epoch = max(epoch + 1, math.ceil(waiting[0]))
        if epoch >= max_epochs:
            break
        waiting.remove(max(rung for rung in waiting if rung <= epoch))
        epochs.append(epoch)
    return epochs


def simulate(veer_pct: Sequence[float], num_rungs: int, reduction_factor: float) -> list[int]:
    """Simulate one search by SuccessiveHalving's rule, on a sorted list for speed.

    Args:
        veer_pct: VEER of each trial in the order of its start, the same at every rung.
        num_rungs: Rungs at which a trial is compared.
        reduction_factor: About one in `reduction_factor` trials at a rung goes on.

    Returns:
        The number of trials that reached each rung and, last, of complete trials.
    """
    alive, reached = list(veer_pct), [len(veer_pct)]
    for _ in range(num_rungs):
        recorded, going_on = list[float](), list[float]()
        for veer in alive:
            if veer <= _cutoff(recorded, reduction_factor):
                going_on.append(veer)
            # After the comparison: a trial's own VEER does not count in its cutoff, as in Ray.
            insort(recorded, veer)
        alive = going_on
        reached.append(len(alive))
    return reached


def _cutoff(ascending: Sequence[float], reduction_factor: float) -> float:
    """Return the linearly interpolated quantile 1/reduction_factor; infinity if empty."""
    if not ascending:
        return math.inf
    below, share = divmod((len(ascending) - 1) / reduction_factor, 1)
    low = ascending[int(below)]
    return low + share * (ascending[int(below) + 1] - low) if share else low


def _summarize(
    reached: Sequence[Sequence[int]], ends: Sequence[int], scale: float, num_trials: int
) -> Forecast:
    """Return the forecast from the numbers of trials that reached each epoch of `ends`.

    `reached` has a row for each simulation; none if there are no rungs.
    """
    full_epochs = num_trials * ends[-1]
    if not reached:
        return Forecast(
            epochs=full_epochs, epochs_low=full_epochs, epochs_high=full_epochs,
            full_epochs=full_epochs, max_epochs=ends[-1], num_complete=num_trials, rungs=(),
        )  # fmt: skip
    epochs = np.array(reached) @ np.diff([0, *ends])
    mean = float(epochs.mean())
    low, high = (float(bound) - mean for bound in np.percentile(epochs, [5, 95]))
    counts = (np.mean(reached, axis=0) * scale).tolist()
    return Forecast(
        epochs=mean * scale,
        # The spread of a sum of independent trials grows with the square root of their number.
        epochs_low=mean * scale + low * math.sqrt(scale),
        epochs_high=mean * scale + high * math.sqrt(scale),
        full_epochs=full_epochs,
        max_epochs=ends[-1],
        num_complete=counts[-1],
        rungs=tuple(
            RungForecast(epoch=epoch, num_reaching=here, num_going_on=after)
            for epoch, here, after in zip(ends, counts, counts[1:], strict=False)
        ),
    )
