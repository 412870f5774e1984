"""The figures that trials are compared by."""

import numpy as np
import pytest
from scipy.stats import norm

from results.journal.decision import (
    FIGURE_NAMES,
    decision_kind,
    decision_pct,
    decisions,
    eer_of_dprime,
)
from results.journal.history import trial_histories
from spaces.files.errors import RunError
from tests.worlds.journals import made_record
from trainable.verification.metrics import dprime, equal_error_rate

VEERS = [20.0, 12.0, 10.0, 11.0]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("veer", 11.0),
        ("mean_of_last_k", 11.0),
        ("dprime", 100 * norm.cdf(-1.2)),
        ("blend", (11.0 + 100 * norm.cdf(-1.2)) / 2),
    ],
)
def test_figure_of_the_last_epoch(kind, expected):
    assert decision_pct(kind, VEERS, 2.4) == pytest.approx(expected)


def test_mean_is_over_three_epochs_or_as_many_as_there_are():
    assert decision_pct("mean_of_last_k", [20.0], None) == 20.0
    assert decision_pct("mean_of_last_k", [20.0, 12.0], None) == 16.0
    assert decision_pct("mean_of_last_k", [20.0, 12.0, 10.0, 2.0], None) == 8.0


@pytest.mark.parametrize("kind", ["dprime", "blend"])
@pytest.mark.parametrize("missing", [None, float("nan"), float("inf")])
def test_veer_decides_where_there_is_no_dprime(kind, missing):
    assert decision_pct(kind, VEERS, missing) == 11.0


def test_eer_of_dprime_is_chance_at_zero_and_falls():
    values = [eer_of_dprime(each) for each in (-2.0, 0.0, 1.0, 3.0, 10.0)]
    assert values[1] == 50
    assert values == sorted(values, reverse=True)
    assert values == pytest.approx(100 * norm.cdf([1.0, 0.0, -0.5, -1.5, -5.0]))


def test_eer_of_dprime_is_the_eer_of_normal_scores():
    rng = np.random.default_rng(0)
    is_target = np.repeat([True, False], 200_000)
    scores = rng.normal(size=400_000) + 2.5 * is_target
    found = dprime(scores, is_target)
    assert found is not None
    assert eer_of_dprime(found) == pytest.approx(equal_error_rate(scores, is_target), abs=0.1)


def test_epochs_without_a_veer_have_no_figure_and_are_in_no_mean():
    epochs = [(1, 20.0, 1.0), (2, None, 2.0), (3, 10.0, None), (4, 9.0, 2.0)]
    assert decisions("mean_of_last_k", epochs) == {1: 20.0, 3: 15.0, 4: 13.0}
    assert decisions("dprime", epochs) == {
        1: pytest.approx(eer_of_dprime(1.0)),
        3: 10.0,
        4: pytest.approx(eer_of_dprime(2.0)),
    }


def test_run_recorded_before_the_setting_existed_is_compared_by_veer():
    assert decision_kind({"sampler": "tpe"}) == "veer"
    for kind in FIGURE_NAMES:
        assert decision_kind({"decide_by": kind}) == kind


def test_unknown_figure_in_a_journal_is_refused_with_those_that_are_known():
    with pytest.raises(RunError, match=r"must be one of veer, .*, blend, got 'dprim'; restore"):
        decision_kind({"decide_by": "dprim"})


def test_history_has_the_figure_of_its_search():
    records = [
        made_record("search_started", settings={"decide_by": "dprime"}),
        made_record("trial_started", trial=0),
        made_record("epoch", trial=0, epoch=1, veer_pct=9.0, dprime=2.0),
        made_record("epoch", trial=0, epoch=2, veer_pct=8.0, dprime=1.5),
    ]
    [trial] = trial_histories(records)
    assert trial.decisions == {1: eer_of_dprime(2.0), 2: eer_of_dprime(1.5)}
    assert trial.best_decision_pct == eer_of_dprime(2.0)
    assert (trial.best_veer_pct, trial.best.epoch) == (8.0, 2)
    [trial] = trial_histories([made_record("search_started", settings={}), *records[1:]])
    assert (trial.decisions, trial.best_decision_pct) == ({1: 9.0, 2: 8.0}, 8.0)
