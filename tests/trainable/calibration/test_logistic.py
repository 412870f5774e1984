"""Logistic regression to log-likelihood ratios."""

import numpy as np
import pytest
from scipy.optimize import minimize

from spaces.files.errors import TrainingError
from tests.trainable.calibration.test_cllr import made_up
from trainable.calibration.cllr import cllr
from trainable.calibration.logistic import fit_llr


def test_it_finds_the_ratio_of_two_normal_classes():
    scores, target = made_up(40_000)
    fit = fit_llr(scores[:, None], target)
    assert fit.weights[0] == pytest.approx(2, abs=0.1)
    assert fit.offset == pytest.approx(-2, abs=0.1)


def test_it_minimises_cllr_which_weighs_both_classes_alike():
    scores, target = made_up()
    columns = np.stack([scores, np.random.default_rng(1).normal(size=scores.size)], axis=1)
    fit = fit_llr(columns, target)
    best = minimize(
        lambda w: cllr(columns @ w[:2] + w[2], target), np.zeros(3), tol=1e-12, method="BFGS"
    )
    np.testing.assert_allclose([*fit.weights, fit.offset], best.x, atol=1e-4)
    assert cllr(fit.llr(columns), target) == pytest.approx(best.fun, abs=1e-9)


def test_the_scale_of_a_column_changes_nothing_but_its_weight():
    scores, target = made_up()
    one, other = fit_llr(scores[:, None], target), fit_llr(1000 * scores[:, None] + 7, target)
    np.testing.assert_allclose(
        one.llr(scores[:, None]), other.llr(1000 * scores[:, None] + 7), atol=1e-7
    )


def test_classes_without_an_error_are_refused():
    target = np.array([True] * 3 + [False] * 4)
    with pytest.raises(TrainingError, match=r"scores of the 3 target pairs are all above.* 4 oth"):
        fit_llr(np.array([[3.0], [4], [5], [0], [1], [2], [0]]), target)


def test_a_column_of_one_value_is_refused():
    scores, target = made_up()
    columns = np.stack([scores, 0 * scores + 2], axis=1)
    with pytest.raises(TrainingError, match="column 1 of 2 has one value in all 300 pairs"):
        fit_llr(columns, target)
