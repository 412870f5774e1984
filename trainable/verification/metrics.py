"""Error rates of speaker verification, from the scores of trial pairs.

A higher score means "same speaker". Every threshold accepts the pairs that score at least as
much, so that pairs with equal scores are accepted together; accepting none and accepting all
are thresholds too. FPR: accepted part of the non-target pairs. FNR: rejected part of the targets.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
# A spread of scores below this part of the largest one is rounding.
ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class VerificationMetrics:
    """The metrics of one scored trial list.

    Attributes:
        eer_pct: Interpolated equal error rate, percent. On a validation list this is the VEER.
        eer_pct_voxceleb_trainer: The rate that voxceleb_trainer prints, percent.
        min_dcf_p01: Minimum detection cost at target prior 0.01, 1 for a useless system.
        min_dcf_p05: The same at target prior 0.05.
        num_target_pairs: Pairs of one speaker.
        num_nontarget_pairs: Pairs of two speakers.
    """

    eer_pct: float
    eer_pct_voxceleb_trainer: float
    min_dcf_p01: float
    min_dcf_p05: float
    num_target_pairs: int
    num_nontarget_pairs: int


def verification_metrics(scores: ArrayLike, is_target: ArrayLike) -> VerificationMetrics:
    """Return all metrics of one list; the arguments are as in `equal_error_rate`."""
    targets = np.asarray(is_target)
    return VerificationMetrics(
        eer_pct=equal_error_rate(scores, targets),
        eer_pct_voxceleb_trainer=voxceleb_trainer_eer_pct(scores, targets),
        min_dcf_p01=min_dcf(scores, targets, 0.01),
        # The prior of voxceleb_trainer's minDCF.
        min_dcf_p05=min_dcf(scores, targets, 0.05),
        num_target_pairs=int(targets.sum()),
        num_nontarget_pairs=int(targets.size - targets.sum()),
    )


def equal_error_rate(scores: ArrayLike, is_target: ArrayLike) -> float:
    """Return the error rate where FPR = FNR, in percent, linear between thresholds.

    This is the point where the ROC's line segments cross FPR = FNR, as WeSpeaker and 3D-Speaker
    report it.

    Args:
        scores: One finite number per pair.
        is_target: True or 1 where both utterances are of one speaker, False or 0 elsewhere.

    Raises:
        ValueError: Lengths differ, a score is not finite, or a class has no pair.
    """
    fpr, fnr = error_rates(scores, is_target)
    # FPR - FNR rises strictly, from -1 (accept none) to 1 (accept all).
    return float(100 * np.interp(0, fpr - fnr, fpr))


def error_rates(scores: ArrayLike, is_target: ArrayLike) -> tuple[Floats, Floats]:
    """Return FPR and FNR, 0 to 1, at each threshold, from accept none to accept all.

    Arguments and errors are as in `equal_error_rate`.
    """
    return _error_rates(*_counts(scores, is_target))


def eer_threshold(scores: ArrayLike, is_target: ArrayLike) -> float:
    """Return the score at which FPR = FNR, linear between the scores around it.

    Arguments and errors are as in `equal_error_rate`.
    """
    fpr, fnr = error_rates(scores, is_target)
    thresholds = np.unique(np.asarray(scores, dtype=np.float64))[::-1]
    # "Accept none" has no score of its own, so it gets the highest one.
    return float(np.interp(0, fpr - fnr, np.append(thresholds[0], thresholds)))


def dprime(scores: ArrayLike, is_target: ArrayLike) -> float | None:
    """Return d': the distance of the classes' mean scores, in units of their spread.

    (mean of targets - mean of non-targets) / sqrt((variance of targets + variance of others) / 2).
    It uses every score, where the EER uses the order around one threshold, so it varies less from
    epoch to epoch. For two normal distributions of equal variance the EER is Phi(-d'/2).

    Arguments and errors are as in `equal_error_rate`.

    Returns:
        None if a class has one score only, or all its scores are equal.
    """
    score, target = checked_pairs(scores, is_target)
    of_targets, of_others = score[target], score[~target]
    spread_targets, spread_others = float(of_targets.std()), float(of_others.std())
    # The mean of equal scores can differ from them by rounding; also after one score alone.
    if min(spread_targets, spread_others) <= ROUNDING * float(np.abs(score).max()):
        return None
    between = float(of_targets.mean() - of_others.mean())
    return between / math.sqrt((spread_targets**2 + spread_others**2) / 2)


def voxceleb_trainer_eer_pct(scores: ArrayLike, is_target: ArrayLike) -> float:
    """Return the EER as voxceleb_trainer computes it (`tuneThreshold.py`), in percent.

    The larger of FPR and FNR at the threshold where they differ least, among the corners of the
    ROC (scikit-learn's `roc_curve` with `drop_intermediate`). Not interpolated, so it is larger
    than `equal_error_rate` on short lists. The arguments are the same.
    """
    num_false, num_true = _counts(scores, is_target)
    # As in scikit-learn: points on straight lines are dropped before the origin is added.
    bends = (np.diff(num_false[1:], 2) != 0) | (np.diff(num_true[1:], 2) != 0)
    inner = np.concatenate(([True, True], bends, [True])) if num_false.size > 3 else ...
    fpr, fnr = _error_rates(num_false[inner], num_true[inner])
    closest = int(np.argmin(np.abs(fnr - fpr)))
    return float(100 * max(fpr[closest], fnr[closest]))


def min_dcf(
    scores: ArrayLike,
    is_target: ArrayLike,
    p_target: float,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Return the smallest detection cost over all thresholds, normalised as in NIST's evaluations.

    The cost is c_miss*FNR*p + c_fa*FPR*(1-p), divided by min(c_miss*p, c_fa*(1-p)), the cost
    of a system that always gives the cheaper answer: so the result is at most 1.

    Args:
        scores: As in `equal_error_rate`.
        is_target: As in `equal_error_rate`.
        p_target: Prior of a target pair, between 0 and 1.
        c_miss: Cost of rejecting a target pair.
        c_fa: Cost of accepting a non-target pair.

    Raises:
        ValueError: As `equal_error_rate`; or the prior or a cost is out of range.
    """
    if not 0 < p_target < 1:
        raise ValueError(f"0 < p_target < 1 must hold, got {p_target}")
    if not (c_miss > 0 and c_fa > 0):
        raise ValueError(f"costs must be positive, got c_miss={c_miss}, c_fa={c_fa}")
    fpr, fnr = _error_rates(*_counts(scores, is_target))
    cost = c_miss * p_target * fnr + c_fa * (1 - p_target) * fpr
    return float(cost.min() / min(c_miss * p_target, c_fa * (1 - p_target)))


def _counts(scores: ArrayLike, is_target: ArrayLike) -> tuple[Floats, Floats]:
    """Count accepted non-target and target pairs at each threshold, from none to all accepted."""
    score, target = checked_pairs(scores, is_target)
    order = np.argsort(-score, kind="stable")
    score, target = score[order], target[order]
    last_of_ties = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    num_true = np.cumsum(target, dtype=np.float64)[last_of_ties]
    num_false = last_of_ties + 1 - num_true
    return np.append(0.0, num_false), np.append(0.0, num_true)


def _error_rates(num_false: Floats, num_true: Floats) -> tuple[Floats, Floats]:
    return num_false / num_false[-1], 1 - num_true / num_true[-1]


def checked_pairs(
    scores: ArrayLike, is_target: ArrayLike
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return scores and labels as arrays; arguments and errors are as in `equal_error_rate`."""
    score, target = np.asarray(scores, dtype=np.float64), np.asarray(is_target)
    if score.ndim != 1 or score.shape != target.shape:
        raise ValueError(
            f"one score and one label per pair are needed, got shapes {score.shape} and "
            f"{target.shape}"
        )
    # NaN has no place in an order: it would be sorted last without a message.
    if not np.isfinite(score).all():
        bad = int(np.argmin(np.isfinite(score)))
        raise ValueError(f"scores must be finite, got {score[bad]} for pair {bad}")
    if not np.isin(target, (0, 1)).all():
        bad = int(np.argmin(np.isin(target, (0, 1))))
        raise ValueError(f"labels must be 0 or 1, got {target[bad]} for pair {bad}")
    num_target = int(target.sum())
    if not 0 < num_target < target.size:
        raise ValueError(
            "target and non-target pairs are needed, got "
            f"{num_target} and {target.size - num_target}"
        )
    return score, target.astype(bool)
