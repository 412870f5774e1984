"""Logistic regression from scores to log-likelihood ratios: calibration, and fusion of systems.

Both classes weigh as if half of all pairs were targets, whatever the list has, so that the log
odds are the log-likelihood ratio (BOSARIS; Brummer et al., "Fusion of heterogeneous speaker
recognition systems", 2007).

Shapes: P trial pairs, Q scores and quality measures of a pair.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spaces.files.errors import TrainingError
from trainable.verification.metrics import Floats, checked_pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticFit:
    """A log-likelihood ratio that is linear in scores and measures.

    Attributes:
        weights: (Q,) one for each column.
        offset: What is added.
    """

    weights: tuple[float, ...]
    offset: float

    def llr(self, columns_PQ: Floats) -> Floats:
        """Return the log-likelihood ratio of pairs, (P,)."""
        return np.asarray(columns_PQ @ np.array(self.weights) + self.offset)


def fit_llr(columns_PQ: Floats, is_target: NDArray[np.bool_]) -> LogisticFit:
    """Fit log-likelihood ratios to the labels of a list, by maximum likelihood.

    Raises:
        TrainingError: A column does not vary, or the columns part the two classes without an
            error, so that no finite weights are the best.
        ValueError: As `metrics.equal_error_rate`.
    """
    # Here: it takes longer to import than a command that needs no list may take.
    from sklearn.linear_model import LogisticRegression

    for column in columns_PQ.T:
        checked_pairs(column, is_target)
    target = is_target.astype(bool)
    spread_Q = columns_PQ.std(axis=0)
    if not (spread_Q > 0).all():
        raise TrainingError(
            f"column {int(np.argmin(spread_Q > 0))} of {spread_Q.size} has one value in all "
            f"{target.size} pairs, so nothing can be fitted to it; take a list with other pairs"
        )
    mean_Q = columns_PQ.mean(axis=0)
    half = target.size / 2
    weight_P = np.where(target, half / target.sum(), half / (~target).sum())
    # Without a penalty: the scale of the ratios must be that of the list.
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=200)
    standard_PQ = (columns_PQ - mean_Q) / spread_Q
    # The Newton steps of separable classes go on without end.
    _require_overlap(standard_PQ, target)
    model.fit(standard_PQ, target, sample_weight=weight_P)
    weight_Q = model.coef_[0] / spread_Q
    return LogisticFit(
        weights=tuple(weight_Q.tolist()), offset=float(model.intercept_[0] - weight_Q @ mean_Q)
    )


def _require_overlap(columns_PQ: Floats, target: NDArray[np.bool_]) -> None:
    """Refuse classes that a plane parts; found by a fit with a small penalty."""
    from sklearn.linear_model import LogisticRegression

    near = LogisticRegression(C=1e4, solver="lbfgs", max_iter=1000)
    near.fit(columns_PQ, target)
    side_P = near.decision_function(columns_PQ)
    if side_P[target].min() > side_P[~target].max():
        raise TrainingError(
            f"the scores of the {int(target.sum()):,} target pairs are all above those of the "
            f"{int((~target).sum()):,} others: how likely an error is cannot be found from a list "
            "without errors; take a longer one, or one with more difficult pairs"
        )
