"""What counts as the same epoch, and what rounding may explain."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from search.review.epoch_comparison import (
    COMPARED,
    EpochPair,
    first_difference,
    veer_tolerance_pct,
)
from trainable.report.epoch_report import TIMING_FIELDS

EPOCH: dict[str, Any] = {
    "epoch": 2, "veer_pct": 12.5, "loss_total": 4.0, "loss_classification": 4.5,
    "loss_distillation": 0.2, "loss_reconstruction": None, "distill_share": 0.1,
    "teacher_cosine": 0.5, "train_accuracy_pct": 50.0, "lr": 1e-3, "classification_share": 0.9,
    "reconstruction_share": None, "loss_stages": [0.1, 0.2], "stage_shares": [0.05, 0.05],
    "num_samples": 96, "veer_low_pct": 9.5, "veer_high_pct": 16.0, "dprime": 2.25,
    "num_params": 1000,
}  # fmt: skip


def pair(**again: Any) -> EpochPair:
    return EpochPair(recorded=EPOCH, again=EPOCH | again)


def test_every_field_but_the_timing_ones_is_compared():
    assert set(COMPARED) == EPOCH.keys()
    assert not TIMING_FIELDS & set(COMPARED)
    assert pair().differing == []


@pytest.mark.parametrize("name", [name for name in EPOCH if EPOCH[name] is not None])
def test_a_change_of_the_last_bit_of_any_field_is_found(name):
    value = EPOCH[name]
    again = (
        [value[0], math.nextafter(value[1], 1)] if isinstance(value, list)
        else value + 1 if isinstance(value, int)
        else math.nextafter(value, math.inf)
    )  # fmt: skip
    assert pair(**{name: again}).differing == [name]


def test_a_number_where_there_was_none_differs():
    assert pair(loss_reconstruction=0.0).differing == ["loss_reconstruction"]


def test_a_metric_that_the_journal_does_not_have_is_not_compared():
    recorded = {name: value for name, value in EPOCH.items() if name != "dprime"}
    assert EpochPair(recorded=recorded, again=EPOCH).differing == []
    worse = EPOCH | {"veer_pct": 12.75}
    assert EpochPair(recorded=recorded, again=worse).differing == ["veer_pct"]


def test_the_first_difference_has_both_values_and_its_size():
    pairs = [pair(), pair(veer_pct=12.75, loss_total=5.0)]
    assert first_difference(pairs) == (
        "epoch 2 in veer_pct: 12.5 recorded, 12.75 again, a difference of 0.25"
    )
    assert first_difference(pairs[:1]) is None
    assert first_difference([pair(loss_stages=[0.1, 0.7])]) == (
        "epoch 2 in loss_stages: [0.1, 0.2] recorded, [0.1, 0.7] again, a difference of 0.5"
    )
    assert first_difference([pair(teacher_cosine=None)]) == (
        "epoch 2 in teacher_cosine: 0.5 recorded, None again"
    )


def test_drift_is_again_less_recorded():
    drifted = pair(veer_pct=12.0, loss_total=4.1)
    assert drifted.veer_drift_pct == pytest.approx(-0.5)
    assert drifted.relative_loss_drift == pytest.approx(0.025)
    assert pair(veer_pct=None).veer_drift_pct == math.inf


@pytest.mark.parametrize("then", [None, 0, 0.0, 1e-320])
def test_a_loss_that_was_none_or_zero_is_beyond_any_tolerance(then):
    found = replace(pair(), recorded=EPOCH | {"loss_total": then})
    assert found.relative_loss_drift == math.inf
    [text] = found.beyond_tolerance(1.0)
    assert text.startswith(f"epoch 2 in loss_total: {then} recorded, 4.0 again")
    same = replace(found, again=EPOCH | {"loss_total": then})
    assert same.relative_loss_drift == 0


@pytest.mark.parametrize(
    ("again", "beyond"),
    [
        ({"veer_pct": 13.5, "loss_total": 4.19}, []),
        ({"veer_pct": 11.5}, []),
        ({"teacher_cosine": 0.9}, []),
        ({"veer_pct": 13.6}, ["veer_pct"]),
        ({"veer_pct": 11.4, "loss_total": 3.7}, ["veer_pct", "loss_total"]),
        ({"veer_pct": None}, ["veer_pct"]),
        ({"num_params": 1001}, ["num_params"]),
    ],
)
def test_tolerance_is_for_veer_and_loss_and_none_for_counts(again, beyond):
    differences = pair(**again).beyond_tolerance(1.0)
    assert [text.split()[3].rstrip(":") for text in differences] == beyond


def test_three_trial_pairs_may_change_places_in_a_short_list():
    one_in_ten = np.arange(200) % 10 == 0  # 20 target pairs: one is 5 points
    assert veer_tolerance_pct(one_in_ten) == veer_tolerance_pct(~one_in_ten) == 15.0
    assert veer_tolerance_pct(np.arange(4000) % 2 == 0) == 3.0
