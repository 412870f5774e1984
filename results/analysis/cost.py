"""What trials and a whole search took: epochs, samples, core-hours, GPU-hours, time.

Core-hours are the CPUs that a trial was given times the time that it had them, see `metering`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from results.analysis.faults import counted
from results.analysis.metering import SearchSession, TrialMeter, search_sessions, trial_meters
from results.analysis.rungs import AT_RUNG
from results.journal.history import TrialHistory, trial_histories
from results.journal.journal import Record

SECONDS_PER_HOUR = 3600.0
# Begins the remark.
COST = "cost: "


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCost:
    """What trials took; None for what the journal does not tell.

    Attributes:
        num_epochs: Epochs reported.
        num_samples: Training crops of these.
        core_hours: CPUs that were given times the time that they were had.
        gpu_hours: Likewise of GPUs.
    """

    num_epochs: int = 0
    num_samples: int | None = None
    core_hours: float | None = None
    gpu_hours: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchCost:
    """What a whole search took.

    Attributes:
        total: All trials.
        stopped: The part of those that were stopped early.
        failed: The part of those that failed or diverged.
        wall_h: Hours from start to end, without the gaps while nothing ran.
        saved_epochs: Epochs that trials stopped at a rung were spared.
        saved_core_hours: These, each at its trial's mean; None where that is not known.
    """

    total: TrialCost
    stopped: TrialCost
    failed: TrialCost
    wall_h: float
    saved_epochs: int
    saved_core_hours: float | None


def trial_costs(records: Iterable[Record]) -> dict[int, TrialCost]:
    """What each trial took, by its number."""
    records = tuple(records)
    metered, found = trial_meters(records), {}
    for trial in trial_histories(records):
        meter = metered.get(trial.trial, TrialMeter())
        found[trial.trial] = TrialCost(
            num_epochs=len(trial.epochs),
            num_samples=_num_samples(trial),
            core_hours=None if meter.core_s is None else meter.core_s / SECONDS_PER_HOUR,
            gpu_hours=None if meter.gpu_s is None else meter.gpu_s / SECONDS_PER_HOUR,
        )
    return found


def search_cost(records: Iterable[Record]) -> SearchCost:
    """What a search took so far, over all its resumptions."""
    records = tuple(records)
    trials, costs = trial_histories(records), trial_costs(records)
    led = search_sessions(records)
    of_state: dict[str, list[TrialCost]] = {}
    for trial in trials:
        of_state.setdefault(trial.state, []).append(costs[trial.trial])
    saved_epochs, saved_core_hours = _saved(trials, costs, _max_epochs(led))
    return SearchCost(
        total=_sum(costs.values()),
        stopped=_sum(of_state.get("stopped_early", ())),
        failed=_sum([*of_state.get("failed", ()), *of_state.get("diverged", ())]),
        wall_h=sum(each.wall_s for each in led) / SECONDS_PER_HOUR,
        saved_epochs=saved_epochs,
        saved_core_hours=saved_core_hours,
    )


def cost_remark(records: Iterable[Record]) -> str | None:
    """What a search took, in a line; None before its first epoch and its first second."""
    cost = search_cost(records)
    if not cost.total.num_epochs or cost.wall_h < 1 / SECONDS_PER_HOUR:
        return None
    parts = [f"{COST}{_in_words(cost.total)} in {_time(cost.wall_h)}"]
    for name, part in (("stopped", cost.stopped), ("failed", cost.failed)):
        if part.num_epochs or part.core_hours:
            parts.append(f"of it {name} trials {_in_words(part)}")
    if cost.saved_epochs:
        hours = cost.saved_core_hours
        told = "" if hours is None else f", about {_hours(hours, 'core')}"
        parts.append(f"early stopping saved {counted(cost.saved_epochs, 'epoch')}{told}")
    return "; ".join(parts)


def _num_samples(trial: TrialHistory) -> int | None:
    told = [epoch.get("num_samples") for epoch in trial.in_order]
    return None if not told or None in told else sum(each for each in told if each is not None)


def _max_epochs(led: Sequence[SearchSession]) -> int | None:
    told = [each.start.get("settings", {}).get("max_epochs") for each in led]
    return next((each for each in reversed(told) if isinstance(each, int)), None)


def _saved(
    trials: Sequence[TrialHistory], costs: Mapping[int, TrialCost], max_epochs: int | None
) -> tuple[int, float | None]:
    epochs, core_hours = 0, list[float | None]()
    for trial in trials:
        had = len(trial.epochs)
        reason = None if trial.ended is None else trial.ended["reason"]
        if max_epochs is None or not had or AT_RUNG not in (reason or ""):
            continue
        epochs += max_epochs - had
        hours = costs[trial.trial].core_hours
        core_hours.append(None if hours is None else hours / had * (max_epochs - had))
    return epochs, _total(core_hours)


def _sum(costs: Iterable[TrialCost]) -> TrialCost:
    costs = tuple(costs)
    with_epochs = [each for each in costs if each.num_epochs]
    samples = _total([each.num_samples for each in with_epochs])
    return TrialCost(
        num_epochs=sum(each.num_epochs for each in costs),
        num_samples=None if samples is None or not with_epochs else int(samples),
        core_hours=_total([each.core_hours for each in costs]),
        gpu_hours=_total([each.gpu_hours for each in costs]),
    )


def _total(values: Sequence[float | None]) -> float | None:
    """The sum, None where one of them is not known."""
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


def _hours(hours: float, of: str) -> str:
    return f"{hours:.1f} {of}-hours" if hours >= 1 else f"{60 * hours:.1f} {of}-minutes"


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
