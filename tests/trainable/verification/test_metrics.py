import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import roc_curve

from trainable.verification.metrics import (
    dprime,
    eer_threshold,
    equal_error_rate,
    error_rates,
    min_dcf,
    verification_metrics,
    voxceleb_trainer_eer_pct,
)

Scores = NDArray[np.float64]
Labels = NDArray[np.bool_]


@st.composite
def scored_pairs(draw: st.DrawFn) -> tuple[Scores, Labels]:
    """Few distinct values, so that ties within and across the classes are common."""
    size = draw(st.integers(2, 40))
    scores = draw(st.lists(st.integers(-6, 6), min_size=size, max_size=size))
    labels = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    labels[0], labels[1] = True, False
    return np.array(scores, dtype=np.float64) / 4, np.array(labels)


def rates_by_counting(scores: Scores, labels: Labels) -> list[tuple[float, float]]:
    """(FPR, FNR) of every threshold, counted pair by pair, from accept none on."""
    points = [(0.0, 1.0)]
    for threshold in sorted(set(scores.tolist()), reverse=True):
        false = sum(s >= threshold for s, t in zip(scores, labels, strict=True) if not t)
        miss = sum(s < threshold for s, t in zip(scores, labels, strict=True) if t)
        points.append((false / (~labels).sum(), miss / labels.sum()))
    return points


def eer_by_segments(scores: Scores, labels: Labels) -> float:
    points = rates_by_counting(scores, labels)
    for (fpr, fnr), (next_fpr, next_fnr) in pairwise(points):
        if next_fpr >= next_fnr:
            part = (fnr - fpr) / ((fnr - fpr) + (next_fpr - next_fnr))
            return 100 * (fpr + part * (next_fpr - fpr))
    raise AssertionError("accepting all has FPR 1 and FNR 0")


def trainer_by_sklearn(scores: Scores, labels: Labels) -> float:
    fpr, tpr, _ = roc_curve(labels, scores, pos_label=1, drop_intermediate=True)
    fnr = 1 - tpr
    closest = np.nanargmin(np.absolute(fnr - fpr))
    return float(100 * max(fpr[closest], fnr[closest]))


# Accepting down to 0.8 errs on 0 of 3 and 1 of 2, to 0.7 on 1 of 3 and 1 of 2, and so on.
HAND_SCORES = [0.9, 0.7, 0.6, 0.5, 0.1]
HAND_LABELS = [1, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("scores", "labels", "eer", "trainer", "dcf_p50"),
    [
        ([2, 1], [1, 0], 0, 0, 0),
        ([1, 2], [1, 0], 100, 100, 1),
        ([1, 1], [1, 0], 50, 100, 1),
        # FPR, FNR: (0,1) (0,1/2) (1/3,1/2) (1/3,0): a vertical step crosses at FPR = 1/3. The
        # trainer's nearest corner is (1/3,1/2).
        (HAND_SCORES, HAND_LABELS, 100 / 3, 50, 1 / 3),
        # One tie of a target and a non-target: from (0,1/2) straight to (1/2,0).
        ([3, 2, 2, 1], [1, 1, 0, 0], 25, 50, 0.5),
    ],
)
def test_hand_worked_values(
    scores: list[float], labels: list[int], eer: float, trainer: float, dcf_p50: float
) -> None:
    assert equal_error_rate(scores, labels) == pytest.approx(eer)
    assert voxceleb_trainer_eer_pct(scores, labels) == pytest.approx(trainer)
    assert min_dcf(scores, labels, 0.5) == pytest.approx(dcf_p50)


def test_the_prior_decides_the_threshold_of_the_detection_cost() -> None:
    # At p=0.05 one false alarm of 3 costs 0.95/3/0.05 = 6.3: reject all but the best, miss half.
    assert min_dcf(HAND_SCORES, HAND_LABELS, 0.05) == pytest.approx(0.5)
    # At p=0.9 the normaliser is 0.1; accepting two thirds costs FPR 1/3.
    assert min_dcf(HAND_SCORES, HAND_LABELS, 0.9) == pytest.approx(1 / 3)
    # Dear misses: 10*0.05 = 0.5 against 0.95; FPR 1/3 costs 0.95/3/0.5 = 0.63, a miss 0.5.
    assert min_dcf(HAND_SCORES, HAND_LABELS, 0.05, c_miss=10) == pytest.approx(0.5)
    assert min_dcf(HAND_SCORES, HAND_LABELS, 0.05, c_miss=100) == pytest.approx(1 / 3)


def test_dprime_of_hand_worked_scores() -> None:
    # Targets 3 and 1: mean 2, variance 1. Others 1, 0, -1, 0: mean 0, variance 1/2.
    scores, labels = [3, 1, 1, 0, -1, 0], [1, 1, 0, 0, 0, 0]
    assert dprime(scores, labels) == pytest.approx(2 / (0.75**0.5))
    assert dprime([-each for each in scores], labels) == pytest.approx(-2 / (0.75**0.5))


def test_dprime_of_normal_scores_gives_their_eer() -> None:
    rng = np.random.default_rng(4)
    labels = np.arange(200_000) % 2 == 0
    scores = rng.normal(size=labels.size) + 2.4 * labels
    found = dprime(scores, labels)
    assert found == pytest.approx(2.4, abs=0.02)
    assert equal_error_rate(scores, labels) == pytest.approx(100 * norm.cdf(-1.2), abs=0.3)
    of_targets, of_others = scores[labels], scores[~labels]
    spread = np.sqrt((of_targets.var() + of_others.var()) / 2)
    assert found == pytest.approx((of_targets.mean() - of_others.mean()) / spread)
    assert dprime(3 * scores - 7, labels) == pytest.approx(found)


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        ([0.9, 0.5, 0.1], [1, 0, 0]),
        ([0.1] * 3 + [0.5, 0.2], [1, 1, 1, 0, 0]),
        ([0.5, 0.2] + [0.1] * 3, [1, 1, 0, 0, 0]),
    ],
    ids=["one target", "equal targets", "equal others"],
)
def test_scores_without_a_spread_have_no_dprime(scores: list[float], labels: list[int]) -> None:
    assert dprime(scores, labels) is None


@given(scored_pairs())
@settings(deadline=None)
def test_interpolated_eer_agrees_with_counting_at_every_threshold(
    pairs: tuple[Scores, Labels],
) -> None:
    assert equal_error_rate(*pairs) == pytest.approx(eer_by_segments(*pairs), abs=1e-9)


@given(scored_pairs(), st.floats(0.001, 0.999), st.floats(0.1, 10), st.floats(0.1, 10))
@settings(deadline=None)
def test_detection_cost_agrees_with_counting_at_every_threshold(
    pairs: tuple[Scores, Labels], prior: float, c_miss: float, c_fa: float
) -> None:
    miss, false = c_miss * prior, c_fa * (1 - prior)
    costs = [miss * fnr + false * fpr for fpr, fnr in rates_by_counting(*pairs)]
    expected = min(costs) / min(miss, false)
    assert min_dcf(*pairs, prior, c_miss, c_fa) == pytest.approx(expected, abs=1e-9)


@given(scored_pairs())
@settings(deadline=None)
def test_trainer_eer_agrees_with_scikit_learn(pairs: tuple[Scores, Labels]) -> None:
    assert voxceleb_trainer_eer_pct(*pairs) == trainer_by_sklearn(*pairs)


@pytest.mark.parametrize("decimals", [1, 2, 12])
@pytest.mark.parametrize("size", [2, 3, 4, 300, 20_000])
def test_both_eers_agree_with_scikit_learn_on_drawn_scores(size: int, decimals: int) -> None:
    rng = np.random.default_rng(size)
    labels = np.arange(size) % 2 == 0
    scores = np.round(rng.normal(size=size) + labels, decimals)
    assert voxceleb_trainer_eer_pct(scores, labels) == trainer_by_sklearn(scores, labels)
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    after = int(np.argmax(fpr >= 1 - tpr))
    between = sorted([fpr[after - 1], fpr[after], 1 - tpr[after - 1], 1 - tpr[after]])
    assert 100 * between[0] - 1e-9 <= equal_error_rate(scores, labels) <= 100 * between[-1] + 1e-9


def all_metrics(scores: Scores, labels: Labels) -> list[float]:
    return [
        equal_error_rate(scores, labels),
        voxceleb_trainer_eer_pct(scores, labels),
        min_dcf(scores, labels, 0.01),
        min_dcf(scores, labels, 0.05),
    ]


@given(scored_pairs(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_only_the_ranking_counts(pairs: tuple[Scores, Labels], random: object) -> None:
    scores, labels = pairs
    expected = all_metrics(scores, labels)
    assert all_metrics(np.exp(scores) * 3 - 7, labels) == expected
    order = np.random.default_rng(random.getrandbits(32)).permutation(scores.size)  # type: ignore[attr-defined]
    assert all_metrics(scores[order], labels[order]) == expected


@given(scored_pairs())
@settings(deadline=None)
def test_negating_scores_and_labels_keeps_the_eer(pairs: tuple[Scores, Labels]) -> None:
    scores, labels = pairs
    eer = equal_error_rate(scores, labels)
    assert equal_error_rate(-scores, ~labels) == pytest.approx(eer, abs=1e-9)
    assert equal_error_rate(scores, ~labels) == pytest.approx(100 - eer, abs=1e-9)
    assert equal_error_rate(-scores, labels) == pytest.approx(100 - eer, abs=1e-9)


@given(scored_pairs())
@settings(deadline=None)
def test_metrics_stay_in_range_and_the_trainers_eer_is_never_smaller(
    pairs: tuple[Scores, Labels],
) -> None:
    eer, trainer, *costs = all_metrics(*pairs)
    assert 0 <= eer <= trainer + 1e-9 <= 100 + 1e-9
    assert all(0 <= cost <= 1 + 1e-9 for cost in costs)


def test_all_metrics_of_one_list() -> None:
    metrics = verification_metrics(HAND_SCORES, HAND_LABELS)
    assert metrics.eer_pct == pytest.approx(100 / 3)
    assert metrics.eer_pct_voxceleb_trainer == pytest.approx(50)
    assert (metrics.min_dcf_p01, metrics.min_dcf_p05) == pytest.approx((0.5, 0.5))
    assert (metrics.num_target_pairs, metrics.num_nontarget_pairs) == (2, 3)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.5, np.nan, 1], [1, 0, 1], "scores must be finite, got nan for pair 1"),
        ([0.5, 1, np.inf], [1, 0, 1], "scores must be finite, got inf for pair 2"),
        ([1, 2], [1, 1], "target and non-target pairs are needed, got 2 and 0"),
        ([1, 2], [0, 0], "target and non-target pairs are needed, got 0 and 2"),
        ([], [], "target and non-target pairs are needed, got 0 and 0"),
        ([1, 2, 3], [1, 0], r"got shapes \(3,\) and \(2,\)"),
        ([[1, 2]], [[1, 0]], r"got shapes \(1, 2\) and \(1, 2\)"),
        ([1, 2, 3], [1, 0, -1], "labels must be 0 or 1, got -1 for pair 2"),
    ],
)
@pytest.mark.parametrize(
    "metric", [equal_error_rate, voxceleb_trainer_eer_pct, lambda s, t: min_dcf(s, t, 0.05)]
)
def test_bad_input_is_refused_with_its_value(
    metric: Callable[[object, object], float], scores: object, labels: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        metric(scores, labels)


@pytest.mark.parametrize("prior", [0, 1, -0.1, np.nan])
def test_a_prior_out_of_range_is_refused(prior: float) -> None:
    with pytest.raises(ValueError, match=f"0 < p_target < 1 must hold, got {prior}"):
        min_dcf(HAND_SCORES, HAND_LABELS, prior)


def test_costs_that_are_not_positive_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got c_miss=0, c_fa=1\.0"):
        min_dcf(HAND_SCORES, HAND_LABELS, 0.05, c_miss=0)


def test_a_million_pairs_take_a_moment() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(10**6) < 0.5
    scores = rng.normal(size=labels.size) + 2 * labels
    start = time.process_time()
    eer = equal_error_rate(scores, labels)
    assert time.process_time() - start < 5  # about 0.2 s on an idle machine
    assert eer == pytest.approx(15.866, abs=0.2)  # the normal tail beyond one deviation


@pytest.mark.parametrize("seed", range(5))
def test_error_rates_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.random(300) < 0.3
    scores = np.round(rng.normal(size=300) + labels, 1)  # many ties
    fpr, fnr = error_rates(scores, labels)
    theirs_fpr, theirs_tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(fpr, theirs_fpr)
    np.testing.assert_allclose(fnr, 1 - theirs_tpr)


@pytest.mark.parametrize(
    ("scores", "labels", "threshold"),
    [
        ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0.8),  # FPR = FNR = 0 from 0.8 down to above 0.2
        ([4.0, 3.0, 2.0, 1.0], [1, 0, 1, 0], 3.0),  # at 3: one of two wrong on either side
        # At 3 FPR 0, FNR 2/3; at 2 FPR 1/2, FNR 2/3; at 1 FPR 1/2, FNR 1/3: halfway.
        ([3.0, 2.0, 1.0, 0.0, -1.0], [1, 0, 1, 1, 0], 1.5),
    ],
)
def test_the_threshold_of_the_eer_by_hand(
    scores: list[float], labels: list[int], threshold: float
) -> None:
    assert eer_threshold(scores, labels) == pytest.approx(threshold)
