"""The cost of trials and of a whole search: epochs, samples, core-hours, GPU-hours, time.

Core-hours are the CPUs reserved for a trial times the time for which they were reserved, used or
not; see `results.analysis.metering`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from results.analysis.faults import counted
from results.analysis.metering import SearchSession, TrialMeter
from results.analysis.rungs import AT_RUNG
from results.journal.history import TrialHistory

_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCost:
    """The cost of one or several trials; None for what the journal does not have.

    Attributes:
        num_epochs: Epochs reported.
        num_samples: Training crops in these epochs.
        core_hours: CPUs reserved times the hours for which they were reserved.
        gpu_hours: GPUs, or shares of them, times hours.
    """

    num_epochs: int = 0
    num_samples: int | None = None
    core_hours: float | None = None
    gpu_hours: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchCost:
    """The cost of a whole search.

    Attributes:
        total: Cost of all trials.
        stopped: Cost of the trials that were stopped early.
        failed: Cost of the trials that failed or diverged.
        wall_h: Hours from start to end, without the gaps between sessions.
        saved_epochs: Epochs that early stopping at rungs saved.
        saved_core_hours: Core-hours of these epochs, at the mean cost of an epoch of the same
            trial; None where a trial's cost is not known.
    """

    total: TrialCost
    stopped: TrialCost
    failed: TrialCost
    wall_h: float
    saved_epochs: int
    saved_core_hours: float | None


def trial_costs(
    trials: Iterable[TrialHistory], meters: Mapping[int, TrialMeter]
) -> dict[int, TrialCost]:
    """Return the cost of each trial, by its number."""
    found = {}
    for trial in trials:
        meter = meters.get(trial.trial, TrialMeter())
        found[trial.trial] = TrialCost(
            num_epochs=len(trial.epochs),
            num_samples=_num_samples(trial),
            core_hours=None if meter.core_s is None else meter.core_s / _SECONDS_PER_HOUR,
            gpu_hours=None if meter.gpu_s is None else meter.gpu_s / _SECONDS_PER_HOUR,
        )
    return found


def search_cost(
    trials: Sequence[TrialHistory],
    costs: Mapping[int, TrialCost],
    sessions: Sequence[SearchSession],
) -> SearchCost:
    """Return the cost of a search so far, over all its sessions."""
    by_state: dict[str, list[TrialCost]] = {}
    for trial in trials:
        by_state.setdefault(trial.state, []).append(costs[trial.trial])
    saved_epochs, saved_core_hours = _saved(trials, costs, _max_epochs(sessions))
    return SearchCost(
        total=_sum(costs.values()),
        stopped=_sum(by_state.get("stopped_early", ())),
        failed=_sum([*by_state.get("failed", ()), *by_state.get("diverged", ())]),
        wall_h=sum(each.wall_s for each in sessions) / _SECONDS_PER_HOUR,
        saved_epochs=saved_epochs,
        saved_core_hours=saved_core_hours,
    )


def cost_remark(cost: SearchCost) -> str | None:
    """Return the cost of a search in one line; None before its first epoch or first second."""
    if not cost.total.num_epochs or cost.wall_h < 1 / _SECONDS_PER_HOUR:
        return None
    parts = [f"cost: {_in_words(cost.total)} in {_time(cost.wall_h)}"]
    for name, part in (("stopped", cost.stopped), ("failed", cost.failed)):
        if part.num_epochs or part.core_hours:
            parts.append(f"{name} trials took {_in_words(part)}")
    if cost.saved_epochs:
        hours = cost.saved_core_hours
        time = "" if hours is None else f", about {_hours(hours, 'core')}"
        parts.append(f"early stopping saved {counted(cost.saved_epochs, 'epoch')}{time}")
    return "; ".join(parts)


def _num_samples(trial: TrialHistory) -> int | None:
    samples = [epoch.num_samples for epoch in trial.in_order]
    # Without the unknown epochs the sum would be too low.
    return None if not samples or None in samples else sum(each for each in samples if each)


def _max_epochs(sessions: Sequence[SearchSession]) -> int | None:
    """Return the latest `max_epochs` of the settings, None where the journal has none."""
    settings = [(each.start.settings or {}).get("max_epochs") for each in sessions]
    return next((each for each in reversed(settings) if isinstance(each, int)), None)


def _saved(
    trials: Sequence[TrialHistory], costs: Mapping[int, TrialCost], max_epochs: int | None
) -> tuple[int, float | None]:
    """Return the epochs that early stopping saved, and their core-hours."""
    epochs, core_hours = 0, list[float | None]()
    for trial in trials:
        num_run = len(trial.epochs)
        # By the reason, not the state: trials are also stopped early when the search ends.
        reason = None if trial.ended is None else trial.ended.reason
        if max_epochs is None or not num_run or AT_RUNG not in (reason or ""):
            continue
        epochs += max_epochs - num_run
        hours = costs[trial.trial].core_hours
        core_hours.append(None if hours is None else hours / num_run * (max_epochs - num_run))
    return epochs, _total(core_hours)


def _sum(costs: Iterable[TrialCost]) -> TrialCost:
    costs = tuple(costs)
    # A trial without an epoch has no samples, which is known and not unknown.
    with_epochs = [each for each in costs if each.num_epochs]
    samples = _total([each.num_samples for each in with_epochs])
    return TrialCost(
        num_epochs=sum(each.num_epochs for each in costs),
        num_samples=None if samples is None or not with_epochs else int(samples),
        core_hours=_total([each.core_hours for each in costs]),
        gpu_hours=_total([each.gpu_hours for each in costs]),
    )


def _total(values: Sequence[float | None]) -> float | None:
    """Return the sum, None where one of the values is unknown."""
    known = [each for each in values if each is not None]
    return sum(known) if len(known) == len(values) else None


def _in_words(cost: TrialCost) -> str:
    parts = [counted(cost.num_epochs, "epoch")]
    if cost.num_samples is not None:
        parts.append(f"{cost.num_samples:,} samples")
    if cost.core_hours is not None:
        parts.append(_hours(cost.core_hours, "core"))
    if cost.gpu_hours:
        parts.append(_hours(cost.gpu_hours, "GPU"))
    return ", ".join(parts)


def _hours(hours: float, unit: str) -> str:
    return f"{hours:.1f} {unit}-hours" if hours >= 1 else f"{60 * hours:.1f} {unit}-minutes"


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
