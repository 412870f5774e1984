"""Thresholds for wanted rates of false accepts, and the ranges of their rates."""

import numpy as np
import pytest

from tests.trainable.verification.test_bootstrap import some_list
from trainable.calibration.operating_point import operating_points
from trainable.verification.bootstrap import SpeakerBootstrap
from trainable.verification.metrics import eer_threshold, equal_error_rate


def test_thresholds_by_hand():
    others, targets = np.arange(100.0), np.array([50.5, 97.5, 98.5, 99.5])
    scores = np.concatenate([others, targets])
    equal, one, five = operating_points(scores, np.arange(104) >= 100, None, (0.1, 1, 5))
    # A tenth of a percent is less than one of 100 pairs; one percent is the pair that scores 99.
    assert (one.wanted_pct, one.threshold, one.false_accept_pct) == (1, 98, 1)
    assert (one.num_false_accepts, one.miss_pct) == (1, 50)
    assert (five.wanted_pct, five.threshold, five.false_accept_pct) == (5, 94, 5)
    assert five.miss_pct == 25
    assert equal.wanted_pct is None
    assert one.false_accept_range is None


def test_equal_scores_are_accepted_together_so_fewer_than_wanted():
    scores = np.array([3.0, 3, 3, 1, 0, 0, 0, 0, 0, 0, 4, 2])
    _, point = operating_points(scores, np.arange(12) >= 10, None, (20,))
    assert (point.threshold, point.false_accept_pct, point.miss_pct) == (3, 0, 50)


def test_ranges_are_around_their_rates():
    pairs, scores = some_list()
    points = operating_points(scores, pairs.is_target, SpeakerBootstrap(pairs), (5, 20))
    assert points[0].threshold == eer_threshold(scores, pairs.is_target)
    eer_pct = equal_error_rate(scores, pairs.is_target)
    assert points[0].false_accept_pct == pytest.approx(eer_pct, abs=0.5)
    for point in points:
        assert point.false_accept_range.low < point.false_accept_pct
        assert point.false_accept_range.high > point.false_accept_pct
        assert point.miss_range.low < point.miss_pct < point.miss_range.high
    for point in points[1:]:
        assert point.threshold_range.low < point.threshold < point.threshold_range.high
    assert points[2].threshold < points[1].threshold


def test_replicates_are_those_of_pairs_repeated_as_drawn():
    pairs, scores = some_list()
    bootstrap = SpeakerBootstrap(pairs, 50)
    false_R, miss_R = bootstrap.rates_pct(scores, 0.7)
    found_R = bootstrap.thresholds(scores, 10)
    others = ~pairs.is_target
    for number, times_K in enumerate(bootstrap._times_KR.T.astype(int)):
        a, b = times_K[pairs.speaker_a], times_K[pairs.speaker_b]
        repeated = np.repeat(scores[others], (a * b)[others])
        assert false_R[number] == pytest.approx(100 * (repeated > 0.7).mean())
        of_targets = np.repeat(scores[~others], a[~others])
        assert miss_R[number] == pytest.approx(100 * (of_targets <= 0.7).mean())
        # The most that may be accepted are accepted, and not one pair more.
        accepted = repeated > found_R[number]
        assert accepted.mean() <= 0.1
        assert (repeated >= found_R[number]).mean() > 0.1
