"""The cost of log-likelihood ratios (Cllr), and its part that calibration cannot mend.

Cllr is the expected cost of decisions by a log-likelihood ratio over all priors, in bits: 0 for
perfect ratios, 1 for ratios that say nothing. Brummer and du Preez, "Application-independent
evaluation of speaker detection" (2006), and the BOSARIS toolkit (Brummer and de Villiers, 2011).

Shapes: P trial pairs.
"""

import numpy as np
from numpy.typing import ArrayLike

from trainable.verification.metrics import Floats, checked_pairs


def cllr(llr: ArrayLike, is_target: ArrayLike) -> float:
    """Return the cost of log-likelihood ratios, bits.

    Args:
        llr: (P,) natural logarithm of the likelihood ratio "same speaker" to "different speakers".
        is_target: (P,) whether both utterances are of one speaker.

    Raises:
        ValueError: As `metrics.equal_error_rate`.
    """
    ratio, target = checked_pairs(llr, is_target)
    return _cost(ratio[target], ratio[~target])


def min_cllr(scores: ArrayLike, is_target: ArrayLike) -> float:
    """Return the cost after the best calibration that keeps the order of the scores, bits.

    The calibration is that of pool adjacent violators, as in BOSARIS. It is fitted on the same
    pairs, so that the result is a bound.

    Args:
        scores: (P,) scores; a higher score means "same speaker".
        is_target: (P,) whether both utterances are of one speaker.

    Raises:
        ValueError: As `metrics.equal_error_rate`.
    """
    # Here: it takes longer to import than a command that needs no list may take.
    from sklearn.isotonic import isotonic_regression

    score, target = checked_pairs(scores, is_target)
    # Equal scores are one step: they get one ratio.
    _, step, count = np.unique(score, return_inverse=True, return_counts=True)
    share = np.bincount(step, weights=target) / count
    posterior = isotonic_regression(share, sample_weight=count, y_min=0, y_max=1)[step]
    prior_log_odds = np.log(target.sum() / (~target).sum())
    # A step of targets alone has an infinite ratio, which costs them nothing.
    with np.errstate(divide="ignore"):
        ratio = np.log(posterior) - np.log1p(-posterior) - prior_log_odds
    return _cost(ratio[target], ratio[~target])


def actual_dcf(llr: ArrayLike, is_target: ArrayLike, p_target: float) -> float:
    """Return the detection cost at the threshold of the prior, normalised as `metrics.min_dcf`.

    The threshold is minus the log odds of the prior, for equal costs of both errors: what a user
    of the ratios pays who has no list to choose a threshold by.

    Args:
        llr: (P,) log-likelihood ratios.
        is_target: (P,) whether both utterances are of one speaker.
        p_target: Prior of a target pair, between 0 and 1.

    Raises:
        ValueError: As `metrics.min_dcf`.
    """
    if not 0 < p_target < 1:
        raise ValueError(f"0 < p_target < 1 must hold, got {p_target}")
    ratio, target = checked_pairs(llr, is_target)
    accepted = ratio >= np.log1p(-p_target) - np.log(p_target)
    cost = p_target * (~accepted[target]).mean() + (1 - p_target) * accepted[~target].mean()
    return float(cost / min(p_target, 1 - p_target))


def _cost(of_targets: Floats, of_others: Floats) -> float:
    costs = np.logaddexp(0, -of_targets).mean() + np.logaddexp(0, of_others).mean()
    return float(costs / (2 * np.log(2)))
