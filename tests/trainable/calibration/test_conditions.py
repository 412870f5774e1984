"""Error rates by condition."""

import numpy as np
import pytest

from spaces.files.errors import ConfigError
from tests.trainable.verification.test_bootstrap import some_list
from trainable.calibration.conditions import (
    condition_eers,
    duration_bands,
    read_conditions,
    value_groups,
)
from trainable.lists.pair_index import PairIndex
from trainable.lists.parsing import TrialPair
from trainable.verification.metrics import equal_error_rate

INDEX = PairIndex.from_pairs(
    TrialPair(is_target=True, path_a=a, path_b=b) for a, b in ("ab", "ac", "bc", "aa")
)


@pytest.mark.parametrize("text", ["path,sex\nb,m\na,f\nc,f\n", "path\tsex\na\tf\nb\tm\nc\tf\n"])
def test_values_follow_the_order_of_the_list(text, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    assert read_conditions(tmp_path / "t.csv", INDEX.paths) == {"sex": ["f", "m", "f"]}


def test_pairs_are_grouped_by_both_sides():
    groups = value_groups(["f", "m", "f"], INDEX)
    assert {name: own.tolist() for name, own in groups.items()} == {
        "f": [False, True, False, True],
        "f and m": [True, False, True, False],
    }


def test_many_values_part_pairs_into_same_and_different():
    index = PairIndex.from_pairs(
        TrialPair(is_target=True, path_a=f"p{n}", path_b=f"p{n + 1}") for n in range(8)
    )
    groups = value_groups(["s0", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s6"], index)
    assert groups["same"].tolist() == [True, *[False] * 6, True]
    np.testing.assert_array_equal(groups["different"], ~groups["same"])


def test_the_shorter_side_decides_the_band():
    groups = duration_bands(np.array([1.9, 2.0, 12.0]), INDEX)
    assert {name: own.tolist() for name, own in groups.items()} == {
        "0 to 2 s": [True, True, False, True],
        "2 to 4 s": [False, False, True, False],
    }


def test_each_condition_has_the_eer_of_its_pairs():
    pairs, scores = some_list()
    chosen = np.arange(scores.size) % 3 == 0
    groups = {"third": chosen, "targets": chosen & pairs.is_target}
    third, targets = condition_eers("x", groups, scores, pairs.is_target, pairs)
    assert third.eer_pct == equal_error_rate(scores[chosen], pairs.is_target[chosen])
    assert third.interval.low_pct < third.eer_pct < third.interval.high_pct
    assert (third.num_target, third.num_nontarget) == (
        pairs.is_target[chosen].sum(),
        (~pairs.is_target[chosen]).sum(),
    )
    assert (targets.eer_pct, targets.interval, targets.num_nontarget) == (None, None, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\na\n", "t.csv:1: must name the columns, such as .* got 'path'"),
        ("", "t.csv:1: must name the columns"),
        ("path,sex\na,f,g\n", "t.csv:2: must have 2 columns as the first line, got 3"),
        ("path,sex\na,f\n", "t.csv: has no row for b, the first of 2 utterances"),
    ],
)
def test_tables_with_faults_are_refused(text, message, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ConfigError, match=message.replace(".csv", r"\.csv")):
        read_conditions(tmp_path / "t.csv", INDEX.paths)
