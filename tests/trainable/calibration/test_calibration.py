"""A calibration: fitted, stored, read, and refused for another model."""

import json

import numpy as np
import pytest

from spaces.files.errors import ConfigError
from tests.trainable.verification.test_bootstrap import some_list
from trainable.calibration.as_norm import Cohort, StoredCohort
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
from trainable.verification.scoring import unit_length

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


def some_cohort(num_speakers=12, size=4) -> Cohort:
    emb = np.random.default_rng(1).normal(size=(num_speakers, size))
    return Cohort(emb_HD=unit_length(emb), top=10)


def test_a_cohort_is_the_same_from_its_file(tmp_path):
    stored = StoredCohort.of(some_cohort(), "train.txt")
    write_calibration(
        tmp_path / "c.json", fitted(FACTS.model_copy(update={"cohort": stored}))
    )
    read = read_calibration(tmp_path / "c.json", "ab12").cohort
    assert read is not None
    assert (read.basis, read.in_words) == (
        "train.txt", "AS-Norm with the 10 nearest of 12 speakers"
    )  # fmt: skip
    np.testing.assert_array_equal(read.cohort.emb_HD, stored.cohort.emb_HD)
    np.testing.assert_allclose(stored.cohort.emb_HD, some_cohort().emb_HD, rtol=1e-6)


def test_the_columns_of_a_calibration_are_normalised_by_its_cohort():
    stored = StoredCohort.of(some_cohort(), "train.txt")
    calibration = fitted(FACTS.model_copy(update={"cohort": stored}))
    utterances = EmbeddedUtterances(
        paths=("a", "b"), mean_UD=np.array([[3.0, 4, 0, 1], [1, 2, 1, 0]]),
        duration_s_U=np.array([2.0, 8]),
    )  # fmt: skip
    sides = (np.array([0]), np.array([1]))
    cosine = utterances.cosines(*sides)
    np.testing.assert_allclose(
        calibration.columns(utterances, sides)[:, 0],
        some_cohort().normalised(cosine, utterances, sides),
        rtol=1e-5,
    )
    np.testing.assert_array_equal(fitted().columns(utterances, sides)[:, 0], cosine)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"emb_float32": "?"}, "emb_float32 must be base64", id="no base64"),
        pytest.param({"num_speakers": 11}, "of 11 speakers in float32, got 192", id="too few"),
        pytest.param({"top": 13}, "top must be at most num_speakers, got 13", id="top"),
    ],
)
def test_a_damaged_cohort_is_refused(change, message, tmp_path):
    stored = StoredCohort.of(some_cohort(), "train.txt")
    write_calibration(
        tmp_path / "c.json", fitted(FACTS.model_copy(update={"cohort": stored}))
    )
    tree = json.loads((tmp_path / "c.json").read_text())
    tree["cohort"] |= change
    (tmp_path / "c.json").write_text(json.dumps(tree))
    with pytest.raises(ConfigError, match=rf"no calibration: cohort: .*{message}"):
        read_calibration(tmp_path / "c.json", "ab12")


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
