"""The measures of an audit: worked by hand, and against SciPy or plain counting."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import beta

from results.audit.audit import (
    audit_controls,
    audit_cost,
    audit_rungs,
    control_share,
    rank_correlation,
)
from tests.worlds.made_up_trials import trial


def test_correlations_worked_by_hand():
    """Ranks 1 2 3 4 against 2 1 3 4: d is 1 1 0 0, and one of six pairs is turned round."""
    found = rank_correlation([(10.0, 8.0), (11.0, 7.0), (12.0, 9.0), (13.0, 9.5)])
    assert found.num == 4
    assert found.spearman == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert found.kendall == pytest.approx((5 - 1) / 6)
    # Of the 24 orders 1 turns no pair round and 3 turn one, and as many all or all but one.
    assert found.p_value == pytest.approx(8 / 24)


def test_correlations_against_plain_counting():
    rng = np.random.default_rng(0)
    pairs = [(float(a), float(a + b)) for a, b in rng.normal(size=(30, 2))]
    found = rank_correlation(pairs)
    signs = [
        np.sign(a[0] - b[0]) * np.sign(a[1] - b[1]) for a, b in itertools.combinations(pairs, 2)
    ]
    assert found.kendall == pytest.approx(np.mean(signs))
    ranks = np.argsort(np.argsort(np.array(pairs), axis=0), axis=0)
    assert found.spearman == pytest.approx(np.corrcoef(ranks.T)[0, 1])


@pytest.mark.parametrize(
    "pairs", [[], [(1.0, 2.0), (2.0, 1.0)], [(1.0, 2.0), (1.0, 3.0), (1.0, 4.0)]]
)
def test_too_few_trials_or_equal_ones_have_no_correlation(pairs):
    found = rank_correlation(pairs)
    assert (found.num, found.spearman, found.kendall) == (len(pairs), None, None)


def test_a_share_has_its_exact_interval():
    """Clopper and Pearson's, as quantiles of beta distributions."""
    found = control_share(2, 10, 40)
    low, high = beta.ppf(0.025, 2, 9), beta.ppf(0.975, 3, 8)
    assert (found.low, found.high) == pytest.approx((low, high))
    # 40 * low is 1.01, but two of the controls are among the 40.
    assert (found.of_stopped_low, found.of_stopped_high) == pytest.approx((2, 40 * high))
    few = control_share(2, 10, 11)  # 11 * high is 6.1, and eight of the eleven are known not to be
    assert (few.of_stopped_low, few.of_stopped_high) == (2, 3)


def test_of_none_the_interval_begins_at_0():
    found = control_share(0, 5, 20)
    assert found.low == 0
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 5))  # solves (1 - p)^5 = 0.025


def test_the_interval_holds_the_share_at_least_19_times_in_20():
    for truth in (0.05, 0.3):
        covered = sum(
            math.comb(12, num) * truth**num * (1 - truth) ** (12 - num)
            for num in range(13)
            if (found := control_share(num, 12, 12)).low <= truth <= found.high
        )
        assert covered >= 0.95


def test_a_rung_counts_who_came_and_who_was_stopped():
    trials = [
        trial(0, [9.0, 8.0, 7.0, 6.0]),
        trial(1, [10.0, 8.5, 8.0, 7.0]),
        trial(2, [11.0, 9.5, 9.0, 8.0]),
        trial(3, [30.0], "stopped_early"),
        trial(4, [12.0, 20.0], "stopped_early"),
        trial(5, [], "failed"),
        trial(6, [30.0, 29.0, 28.0, 27.0], follow_up="control", follows=3),
    ]
    first, second = audit_rungs(trials, [1, 2], {3: 1, 4: 2})
    assert (first.num_reached, first.num_stopped) == (5, 1)
    assert (second.num_reached, second.num_stopped) == (4, 1)
    assert (first.complete.num, first.complete.spearman) == (3, pytest.approx(1))
    assert first.with_controls.num == 4


def test_no_epoch_up_to_the_rung_counts_as_the_end():
    """All epochs are among the last five; with those of the rung in it, it would be +1."""
    trials = [trial(0, [10.0, 3.0]), trial(1, [20.0, 2.0]), trial(2, [30.0, 1.0])]
    [rung] = audit_rungs(trials, [1], {})
    assert (rung.complete.spearman, rung.complete.kendall) == (pytest.approx(-1),) * 2


def test_an_epoch_without_a_veer_counts_for_no_rung():
    trials = [trial(n, [None, 9.0 - n, 8.0]) for n in range(4)]
    assert audit_rungs(trials, [1], {})[0].complete.num == 0


CONTROLLED = [
    trial(0, [20.0, 10.0, 10.0, 10.0, 10.0, 10.0, 9.0]),  # lowest 9, at the end 10
    trial(1, [20.0, 12.0, 12.0, 12.0, 12.0, 12.0, 12.0]),
    trial(2, [30.0], "stopped_early"),
    trial(3, [31.0], "stopped_early"),
    trial(4, [32.0], "stopped_early"),
    trial(5, [33.0], "stopped_early"),
    trial(6, [30.0, *[11.0] * 6], follow_up="control", follows=2),
    trial(7, [31.0, *[9.5] * 6], follow_up="control", follows=3),
    trial(8, [32.5, *[40.0] * 6], follow_up="control", follows=4),
]


def test_controls_are_compared_with_the_complete_trials():
    found = audit_controls(CONTROLLED, dict.fromkeys((2, 3, 4, 5), 1), 2)
    assert (found.num_stopped, found.best_trial, found.best_end_pct) == (4, 0, 10.0)
    assert [(c.trial, c.follows, c.place, c.behind_pct) for c in found.controls] == [
        (7, 3, 1, -0.5),
        (6, 2, 2, 1.0),
        (8, 4, 3, 30.0),
    ]
    assert (found.would_have_won.num, found.would_have_won.of) == (1, 3)
    assert found.among_best.num == 2
    assert found.would_have_won.high == pytest.approx(beta.ppf(0.975, 2, 2))
    assert found.would_have_won.of_stopped_high == 2  # two of the four have lost for certain
    # Trial 8 was computed otherwise than trial 4, which it follows.
    assert [c.largest_gap_pct for c in found.controls] == [0.0, 0.0, 0.5]


def test_without_a_complete_trial_or_a_control_there_is_nothing_to_compare():
    assert audit_controls(CONTROLLED[2:], {}, 3) is None
    assert audit_controls(CONTROLLED[:6], {}, 3) is None


def test_cost_counts_what_was_saved():
    trials = [
        trial(0, [9.0] * 9),
        trial(1, [9.0], "stopped_early"),
        trial(2, [9.0] * 3, "stopped_early"),
        trial(3, [9.0] * 2, "failed"),
        trial(4, [9.0] * 9, follow_up="repeat", follows=0),
    ]
    found = audit_cost(trials, 9, {1: 1, 2: 3})
    assert (found.num_trials, found.num_complete, found.num_stopped) == (4, 1, 2)
    assert (found.epochs, found.epochs_saved, found.epochs_without) == (15, 14, 29)
    assert found.follow_up_epochs == 9
