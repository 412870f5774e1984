"""Ratios of paired measurements with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A ratio and its 95 % bootstrap interval.

    Attributes:
        value: The ratio.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def paired_ratio(
    above: Sequence[float], below: Sequence[float], *, num_resamples: int = 10_000
) -> Ratio:
    """Return the median of above[i] / below[i] and its interval over resampled pairs."""
    ratios = np.divide(above, below)
    drawn = np.random.default_rng(0).choice(ratios, size=(num_resamples, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return Ratio(value=float(np.median(ratios)), low=float(low), high=float(high))


def mean_ratio(
    above: ArrayLike, below: ArrayLike, groups: Sequence[str], *, num_resamples: int = 10_000
) -> Ratio:
    """Return the geometric mean of above[i] / below[i]; a ratio and its inverse weigh the same.

    The interval is over resampled groups, such as tasks, and over resampled pairs in each. With a
    single group it is over pairs alone.
    """
    logs = np.log(np.divide(above, below))
    places = [np.flatnonzero(np.array(groups) == group) for group in dict.fromkeys(groups)]
    rng = np.random.default_rng(0)
    means = []
    for _ in range(num_resamples):
        chosen: list[NDArray[np.int64]] = [
            rng.choice(places[k], size=len(places[k]))
            for k in rng.integers(len(places), size=len(places))
        ]
        means.append(logs[np.concatenate(chosen)].mean())
    low, high = np.exp(np.percentile(means, [2.5, 97.5]))
    return Ratio(value=float(np.exp(logs.mean())), low=float(low), high=float(high))
