"""The cost of log-likelihood ratios, against hand-worked values and against BOSARIS's formulas."""

import numpy as np
import pytest

from trainable.calibration.cllr import actual_dcf, cllr, min_cllr
from trainable.verification.metrics import min_dcf


def made_up(num=300, seed=0):
    """Scores of two normal classes, whose true ratio is 2 s - 2."""
    rng = np.random.default_rng(seed)
    target = rng.random(num) < 0.3
    return rng.normal(size=num) + 2 * target, target


def pav(values):
    """Pool adjacent violators, one block after the other, by hand."""
    blocks = []
    for value in values:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, size = blocks.pop()
            blocks[-1] = [
                (blocks[-1][0] * blocks[-1][1] + mean * size) / (blocks[-1][1] + size),
                blocks[-1][1] + size,
            ]
    return np.repeat([mean for mean, _ in blocks], [size for _, size in blocks])


def test_ratios_that_say_nothing_cost_one_bit():
    assert cllr([0, 0, 0], [1, 0, 1]) == pytest.approx(1)


def test_a_cost_by_hand():
    # A target with odds 3 costs log2(4/3), another one with odds 1 a bit; a non-target with odds
    # 1/7 costs log2(8/7).
    found = cllr(np.log([3, 1, 1 / 7]), [1, 1, 0])
    assert found == pytest.approx(0.5 * ((np.log2(4 / 3) + 1) / 2 + np.log2(8 / 7)))


def test_the_minimum_is_that_of_pooled_violators():
    scores, target = made_up()
    order = np.argsort(scores)
    posterior = pav(target[order].astype(float))
    prior = target.mean()
    with np.errstate(divide="ignore"):
        ratio = np.log(posterior / (1 - posterior)) - np.log(prior / (1 - prior))
    assert min_cllr(scores, target) == pytest.approx(cllr_of(ratio, target[order]), abs=1e-12)


def cllr_of(ratio, target):
    """Equation of Brummer and du Preez (2006), which infinite ratios of the right class pass."""
    of_targets, of_others = np.exp(-ratio[target]), np.exp(ratio[~target])
    return (np.log2(1 + of_targets).mean() + np.log2(1 + of_others).mean()) / 2


def test_the_minimum_depends_on_the_order_alone_and_is_a_bound():
    scores, target = made_up()
    assert min_cllr(np.exp(3 * scores), target) == pytest.approx(min_cllr(scores, target))
    true_ratio = 2 * scores - 2
    assert min_cllr(scores, target) < cllr(true_ratio, target) < cllr(3 * true_ratio, target)


def test_equal_scores_get_one_ratio():
    # 2 targets and 1 other at each of two scores would be 0 bits if they could be parted.
    assert min_cllr([1, 1, 1, 1], [1, 1, 0, 0]) == pytest.approx(1)
    assert min_cllr([2, 2, 1, 1], [1, 1, 0, 0]) == pytest.approx(0)


def test_the_cost_of_decisions_by_hand():
    # At prior 0.1 the threshold is log(9): one of two targets is missed, one other accepted.
    llr = np.log([10, 8, 20, 1])
    assert actual_dcf(llr, [1, 1, 0, 0], 0.1) == pytest.approx((0.1 * 0.5 + 0.9 * 0.5) / 0.1)


@pytest.mark.parametrize("prior", [0.01, 0.3, 0.9])
def test_no_threshold_costs_less_than_the_best_one(prior):
    scores, target = made_up()
    assert actual_dcf(2 * scores - 2, target, prior) >= min_dcf(scores, target, prior) - 1e-12


def test_a_prior_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"0 < p_target < 1 must hold, got 1"):
        actual_dcf([0, 1], [0, 1], 1)
