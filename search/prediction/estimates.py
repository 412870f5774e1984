"""Means over simulated searches with their 95 % intervals, and the table of variants."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from results.audit.audit import CONFIDENCE, exact_interval
from search.prediction.played_search import PlayedSearch
from search.prediction.variants import Variant

S_PER_H = 3600.0
PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with the ends of its 95 % interval.

    Attributes:
        value: The number.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """What a variant takes and brings; the intervals hold 95 % of the searches.

    Attributes:
        name: What differs from the given settings.
        num_workers: Trials at a time.
        trials: Trials, follow-ups included.
        epochs: Epochs of all trials.
        wall_h: Hours.
        core_h: CPU-hours.
        gpu_h: GPU-hours; None where the share of a GPU is not known.
        true_pct: What the chosen student is worth, percent.
        shown_pct: Its VEER in the table of trials, percent.
        missed: Chance of a student worse than the best by more than the given points; the interval
            is one of the chance.
        behind_pct: True VEER minus that of the given settings in the same world: mean with its
            interval.
        fewer: Share of the epochs of the given settings that it saves in the same world: mean with
            its interval.
        num_fewer: Searches in which it takes fewer epochs than the given settings.
        is_same: Whether every search is that of the given settings: what differs has no effect.
    """

    name: str
    num_workers: int
    trials: Estimate
    epochs: Estimate
    wall_h: Estimate
    core_h: Estimate
    gpu_h: Estimate | None
    true_pct: Estimate
    shown_pct: Estimate
    missed: Estimate
    behind_pct: Estimate
    fewer: Estimate
    num_fewer: int
    is_same: bool


def variant_result(
    variant: Variant,
    played: Sequence[PlayedSearch],
    given: Sequence[PlayedSearch],
    best_pct: Sequence[float],
    within_pct: float,
) -> VariantResult:
    """Return the result of a variant.

    Args:
        variant: The variant.
        played: Its searches, one a world.
        given: The searches of the given settings in the same worlds.
        best_pct: The best true VEER of each world, percent.
        within_pct: Points by which a student may be worse than the best.
    """
    resources = variant.settings.resources
    gpu = None if isinstance(resources.gpu, str) else resources.gpu

    def of(number: Callable[[PlayedSearch], float]) -> Estimate:
        return of_searches([number(each) for each in played])

    pairs = list(zip(played, given, strict=True))
    fewer = [1 - each.epochs / other.epochs for each, other in pairs]
    missed = [
        each.true_pct > best + within_pct for each, best in zip(played, best_pct, strict=True)
    ]
    return VariantResult(
        name=variant.name,
        num_workers=variant.num_workers,
        trials=of(lambda each: each.num_trials),
        epochs=of(lambda each: each.epochs),
        wall_h=of(lambda each: each.wall_s / S_PER_H),
        core_h=of(lambda each: resources.cpu * each.worker_s / S_PER_H),
        gpu_h=None if gpu is None else of(lambda each: gpu * each.worker_s / S_PER_H),
        true_pct=of(lambda each: each.true_pct),
        shown_pct=of(lambda each: each.shown_pct),
        missed=chance(sum(missed), len(missed)),
        behind_pct=mean_of([each.true_pct - other.true_pct for each, other in pairs]),
        fewer=mean_of(fewer),
        num_fewer=sum(share > 0 for share in fewer),
        is_same=played is not given and list(played) == list(given),
    )


def of_searches(values: Sequence[float]) -> Estimate:
    """Return the mean, and the ends between which 95 % of the searches lie."""
    low, high = np.percentile(values, PERCENTILES)
    return Estimate(value=float(np.mean(values)), low=float(low), high=float(high))


def mean_of(values: Sequence[float]) -> Estimate:
    """Return the mean with its 95 % interval, by Student's t; infinite for a single value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(value=mean, low=-np.inf, high=np.inf)
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    half = float(stdtrit(len(values) - 1, 0.5 + CONFIDENCE / 2)) * error
    return Estimate(value=mean, low=mean - half, high=mean + half)


def chance(count: int, total: int) -> Estimate:
    """Return a share with its 95 % interval by Clopper and Pearson."""
    low, high = exact_interval(count, total)
    return Estimate(value=count / total, low=low, high=high)
