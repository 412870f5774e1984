"""A calibration: fitted, stored, read, and refused for another model."""

import json

import numpy as np
import pytest

from spaces.files.errors import ConfigError
from tests.trainable.verification.test_bootstrap import some_list
from trainable.calibration.calibration import (
    Calibration,
    FitOn,
    fit_calibration,
    read_calibration,
    write_calibration,
)
from trainable.calibration.cllr import cllr
from trainable.calibration.quality import with_quality
from trainable.verification.bootstrap import SpeakerBootstrap
from trainable.verification.embedded import EmbeddedUtterances

FACTS = FitOn(
    weights_sha256="ab12", basis="a list", list_sha256=None, num_crops=10, num_frames=300
)


def fitted(facts=FACTS, **options) -> Calibration:
    pairs, scores = some_list()
    columns = np.stack([scores, *options.get("measures", [])], axis=1)
    return fit_calibration(columns, pairs.is_target, SpeakerBootstrap(pairs), facts, (5,))


def test_it_is_the_same_from_its_file(tmp_path):
    calibration = fitted()
    write_calibration(tmp_path / "c.json", calibration)
    assert read_calibration(tmp_path / "c.json", "ab12") == calibration


def test_its_ratios_cost_what_it_states():
    pairs, scores = some_list()
    calibration = fitted()
    llr = calibration.fit.llr(scores[:, None])
    assert calibration.cllr == cllr(llr, pairs.is_target)
    assert calibration.min_cllr <= calibration.cllr
    assert calibration.num_speakers == 12
    np.testing.assert_array_equal(calibration.decides_by(scores[:, None]), scores)


def test_with_measures_the_ratio_decides():
    pairs, scores = some_list()
    measures = np.random.default_rng(0).normal(size=(2, scores.size))
    calibration = fitted(
        FACTS.model_copy(update={"qualities": ("duration",)}), measures=measures
    )
    columns = np.stack([scores, *measures], axis=1)
    np.testing.assert_array_equal(
        calibration.decides_by(columns), calibration.fit.llr(columns)
    )
    accepted = calibration.decides_by(columns) > calibration.point(5).threshold
    assert 100 * accepted[~pairs.is_target].mean() == calibration.point(5).false_accept_pct


def test_measures_of_a_pair_do_not_depend_on_its_order():
    utterances = EmbeddedUtterances(
        paths=("a", "b"), mean_UD=np.array([[3.0, 4], [0, 2]]), duration_s_U=np.array([2.0, 8])
    )
    one, other = np.array([0]), np.array([1])
    found = with_quality(np.array([0.5]), utterances, (one, other), ("duration", "magnitude"))
    np.testing.assert_allclose(found, [[0.5, *np.log([2, 8, 2, 5])]])
    swapped = with_quality(np.array([0.5]), utterances, (other, one), ("duration", "magnitude"))
    np.testing.assert_array_equal(found, swapped)


def test_the_calibration_of_another_model_is_refused(tmp_path):
    write_calibration(tmp_path / "c.json", fitted())
    with pytest.raises(ConfigError, match=r"c\.json: .* other weights \(SHA-256 ab12, .* ff"):
        read_calibration(tmp_path / "c.json", "ff")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("{", "no calibration: the file: Invalid JSON", id="no JSON"),
        pytest.param({"offset": "x"}, "no calibration: offset: Input should be", id="a text"),
        pytest.param({"points": 3}, "no calibration: points: ", id="no points"),
    ],
)
def test_a_damaged_file_is_refused(content, message, tmp_path):
    write_calibration(tmp_path / "c.json", fitted())
    if isinstance(content, dict):
        content = json.dumps(json.loads((tmp_path / "c.json").read_text()) | content)
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(ConfigError, match=rf"c\.json: {message}.*make it again"):
        read_calibration(tmp_path / "c.json", "ab12")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.json: cannot be read: No such file"):
        read_calibration(tmp_path / "none.json", "ab12")


def test_a_rate_that_was_not_measured_is_refused():
    with pytest.raises(ConfigError, match=r"must be one of 5 \(or eer\), got 0\.2"):
        fitted().point(0.2)
