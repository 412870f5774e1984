"""Scores of pairs as text."""

import numpy as np
import pytest

from spaces.files.errors import CorpusError
from tests.trainable.calibration.test_conditions import INDEX
from trainable.calibration.score_file import read_score_file, write_score_file

SCORES = np.array([0.25, -1e-7, 1 / 3, 12.0])


def test_scores_are_those_that_were_written(tmp_path):
    write_score_file(tmp_path / "s", INDEX, SCORES)
    np.testing.assert_allclose(read_score_file(tmp_path / "s", INDEX), SCORES, rtol=1e-8)


def test_other_tools_have_other_columns_order_and_sides(tmp_path):
    lines = ["x y 3", "c b 0.3 target", "b a 0.25 nontarget", "a a 4", "a c 1"]
    (tmp_path / "s").write_text("\n".join(lines))
    assert read_score_file(tmp_path / "s", INDEX).tolist() == [0.25, 1, 0.3, 4]


def test_faults_are_named_with_their_lines(tmp_path):
    (tmp_path / "s").write_text("a b 1\na c nan\nb c 2\n")
    with pytest.raises(CorpusError, match=r"s:2: must be 'SCORE .*got 'a c nan'") as found:
        read_score_file(tmp_path / "s", INDEX)
    assert found.value.faults[1:] == (
        f"{tmp_path / 's'}: has no score for the pair a c",
        f"{tmp_path / 's'}: has no score for the pair a a",
    )
