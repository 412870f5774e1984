"""Error rates of several systems on one list."""

import numpy as np
import pytest

from tests.trainable.verification.test_bootstrap import some_list
from trainable.calibration.cllr import actual_dcf, cllr, min_cllr
from trainable.calibration.measures import SystemScores, measure_systems
from trainable.verification.bootstrap import SpeakerBootstrap, paired_difference
from trainable.verification.metrics import equal_error_rate, min_dcf


def test_each_system_is_measured_and_compared_with_the_first():
    pairs, scores = some_list()
    other = scores + 0.3 * np.random.default_rng(1).normal(size=scores.size)
    systems = [SystemScores(name="a", scores=scores), SystemScores(name="b", scores=other)]
    first, second = measure_systems(systems, pairs.is_target, SpeakerBootstrap(pairs), [0.001])
    assert first.behind is None
    assert first.interval is not None
    assert (first.cllr, first.actual_dcf) == (None, {})
    assert second.eer_pct == equal_error_rate(other, pairs.is_target)
    assert second.behind == paired_difference(other, scores, pairs)
    assert second.min_dcf == {0.001: min_dcf(other, pairs.is_target, 0.001)}
    assert second.min_cllr == min_cllr(other, pairs.is_target)


def test_ratios_are_measured_where_they_are_known():
    pairs, scores = some_list()
    llr = 2 * scores - 1
    (found,) = measure_systems(
        [SystemScores(name="a", scores=scores, llr=llr)], pairs.is_target, None, [0.1]
    )
    assert found.interval is None
    assert found.cllr == cllr(llr, pairs.is_target) > found.min_cllr
    assert found.actual_dcf[0.1] == pytest.approx(actual_dcf(llr, pairs.is_target, 0.1))
