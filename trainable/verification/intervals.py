"""95 % intervals from bootstrap replicates over speakers: of an EER, of the difference of two.

Of an EER: Student's t for K speakers times the standard deviation of the replicates' log odds,
widened by sqrt(K / (K - 1)), since drawing from K speakers underestimates the spread between them.
Log odds keep the interval between 0 and 100 % and make it wider upwards. Of a difference: the same
without log odds, with the part of the standard deviation that is due to the speakers.

Chosen by simulated coverage (docs/intervals.md): with 28 speakers, 86 to 98 of 100 intervals from
percentiles of the replicates contain the true value; they are worst if few speakers have most of
the errors.

Shapes: K speakers, R replicates.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, stdtrit

from trainable.features.crop_bank import Index
from trainable.verification.metrics import Floats

NUM_REPLICATES = 1000
# The draws depend only on this seed and the number of speakers, so that all models on one list
# have the same replicates and can be compared in pairs. Another value would change the intervals
# of recorded runs.
BOOTSTRAP_SEED = 20040517
# From this many replicates per speaker, the effect of each speaker on them can be estimated.
REPLICATES_A_SPEAKER = 4


@lru_cache(maxsize=4)
def draw_counts(num_speakers: int, num_replicates: int = NUM_REPLICATES) -> Index:
    """Return how often each replicate draws each speaker, (K, R), read-only; columns sum to K.

    The draws come from the raw stream of a bit generator, which NumPy guarantees not to change
    (unlike `Generator.integers`). A search that is resumed later has the same replicates.
    """
    raw = np.random.PCG64(BOOTSTRAP_SEED).random_raw(num_replicates * num_speakers)
    # The remainder prefers no speaker by more than K / 2^64.
    drawn_RK = (raw % num_speakers).astype(np.int64).reshape(num_replicates, num_speakers)
    cells = drawn_RK + num_speakers * np.arange(num_replicates)[:, None]
    counts = np.bincount(cells.ravel(), minlength=cells.size)
    times_KR = np.ascontiguousarray(counts.reshape(num_replicates, num_speakers).T)
    # Cached: a caller that wrote to it would change all later intervals of this process.
    times_KR.flags.writeable = False
    return times_KR


def speakers_sd(values_R: Floats, num_speakers: int) -> float:
    """Return the standard deviation over replicates that is due to single speakers.

    The values are fitted by least squares on how often each speaker was drawn; from the explained
    variance, the part that as many random numbers would explain is subtracted. The rest belongs to
    single non-target pairs. Weights m n show their part of the variance three times as large as it
    is (Owen 2007), and this fit shows it twice as large. So the result is at least a third of the
    whole variance.

    Args:
        values_R: One per replicate of `draw_counts`; NaN if it is undefined.
        num_speakers: Speakers of the list; with too many for so few replicates the standard
            deviation of the values is returned.
    """
    is_defined = np.isfinite(values_R)
    centred_R = np.where(is_defined, values_R - values_R[is_defined].mean(), 0.0)
    whole = float((centred_R**2).sum()) / int(is_defined.sum())
    if num_speakers * REPLICATES_A_SPEAKER > values_R.size:
        return float(np.sqrt(whole))
    basis_RJ = _basis(num_speakers, values_R.size)
    fitted = float(((basis_RJ.T @ centred_R) ** 2).sum()) / values_R.size
    num_free = values_R.size - basis_RJ.shape[1] - 1
    rest = max(whole - fitted, 0.0) * values_R.size / num_free
    speakers = fitted - rest * basis_RJ.shape[1] / values_R.size
    return float(np.sqrt(max(speakers, whole / 3)))


@lru_cache(maxsize=4)
def _basis(num_speakers: int, num_replicates: int) -> Floats:
    """Return orthonormal columns that span the draws, (R, K - 1).

    The counts of the last speaker follow from the others, since each replicate has K draws.
    """
    times_RK = draw_counts(num_speakers, num_replicates).T
    return np.linalg.qr(times_RK[:, :-1] - times_RK[:, :-1].mean(0))[0]


LEVEL = 0.95
# With fewer speakers intervals were found to have the truth less often than they should.
MIN_SPEAKERS = 6
# Replicates without a target or without a non-target pair have no EER. Leaving out a few changes
# little; more would be an interval of luckier lists.
MAX_UNDEFINED_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A 95 % interval, percent; the value that it belongs to is in it."""

    low_pct: float
    high_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EERDifference:
    """The difference of two models' EERs on the same list.

    Attributes:
        behind_pct: EER of the first minus EER of the second, percent.
        interval: Its 95 % interval; None if the list has too few speakers.
    """

    behind_pct: float
    interval: Interval | None

    @property
    def is_tied(self) -> bool | None:
        """Whether the interval contains 0, so that the list cannot separate the two models."""
        if self.interval is None:
            return None
        return self.interval.low_pct <= 0 <= self.interval.high_pct


def rate_interval(
    rate_pct: float, replicates: ArrayLike, *, num_speakers: int, num_pairs: int
) -> Interval | None:
    """Return the 95 % interval of an EER, or of another error rate.

    Args:
        rate_pct: Rate on the whole list, percent.
        replicates: (R,) rate of each replicate, percent; NaN if undefined.
        num_speakers: Speakers of the list.
        num_pairs: Pairs that the rate is a share of; of an EER, the smaller of the numbers of
            target and non-target pairs. A rate of 0 counts as half an error among them, since the
            log odds of 0 are infinite.

    Returns:
        None if no interval can be found: fewer than `MIN_SPEAKERS` speakers, too many undefined
        replicates, or replicates that are all equal, as around a rate of 0 %.
    """
    usable = _usable(replicates, num_speakers)
    if usable is None or not 0 < rate_pct < 100 or np.ptp(usable) == 0:
        return None
    least = 0.5 / num_pairs
    middle, log_odds_R = (
        logit(np.clip(value / 100, least, 1 - least)) for value in (rate_pct, usable)
    )
    half = _half_width(float(log_odds_R.std()), num_speakers)
    low, high = 100 * expit(middle - half), 100 * expit(middle + half)
    # The interval must contain the rate, also after rounding or for less than half an error.
    return Interval(low_pct=min(float(low), rate_pct), high_pct=max(float(high), rate_pct))


def eer_difference(
    eer_pct: tuple[float, float], replicates: tuple[ArrayLike, ArrayLike], num_speakers: int
) -> EERDifference:
    """Return the first model's EER minus the second's, on the replicates of one list.

    Args:
        eer_pct: EER of both on the whole list, percent.
        replicates: (R,) EERs of both, percent; replicate i has the same speakers in both.
        num_speakers: Speakers of the list.

    Raises:
        ValueError: The numbers of replicates differ.
    """
    first, second = (np.asarray(each, dtype=np.float64) for each in replicates)
    if first.shape != second.shape:
        raise ValueError(
            f"both must have the same replicates, got {first.size} and {second.size}"
        )
    behind_pct = eer_pct[0] - eer_pct[1]
    if _usable(first - second, num_speakers) is None:
        return EERDifference(behind_pct=behind_pct, interval=None)
    half = _half_width(speakers_sd(first - second, num_speakers), num_speakers)
    interval = Interval(low_pct=behind_pct - half, high_pct=behind_pct + half)
    return EERDifference(behind_pct=behind_pct, interval=interval)


def value_interval(
    value: float, replicates: ArrayLike, num_speakers: int
) -> tuple[float, float] | None:
    """Return the 95 % interval of a number of any scale, such as a threshold.

    Args:
        value: The number on the whole list.
        replicates: (R,) the number in each replicate; NaN if undefined.
        num_speakers: Speakers of the list.

    Returns:
        None if the speakers are fewer than `MIN_SPEAKERS`, or too many replicates undefined.
    """
    usable = _usable(replicates, num_speakers)
    if usable is None:
        return None
    half = _half_width(float(usable.std()), num_speakers)
    return value - half, value + half


def _usable(replicates: ArrayLike, num_speakers: int) -> Floats | None:
    """Return the defined replicates; None if they or the speakers are too few."""
    values = np.asarray(replicates, dtype=np.float64)
    is_defined = np.isfinite(values)
    if num_speakers < MIN_SPEAKERS or (~is_defined).mean() > MAX_UNDEFINED_SHARE:
        return None
    return values[is_defined]


def _half_width(sd: float, num_speakers: int) -> float:
    t = float(stdtrit(num_speakers - 1, (1 + LEVEL) / 2))
    return t * sd * math.sqrt(num_speakers / (num_speakers - 1))
