"""Enrolled speakers: the embedding of several files, and the store."""

import numpy as np
import pytest

from spaces.files.errors import ConfigError
from trainable.embedding.enrolment import (
    EnrolledSpeaker,
    EnrolledSpeakers,
    enrolled_embedding,
    read_enrolled,
    write_enrolled,
)


def store(**speakers) -> EnrolledSpeakers:
    found = {
        name: EnrolledSpeaker(num_files=1, duration_s=1, embedding=each)
        for name, each in speakers.items()
    }
    return EnrolledSpeakers(
        model="m", weights_sha256="ab", num_crops=10, num_frames=300, speakers=found
    )


def test_each_file_counts_the_same():
    found = enrolled_embedding([np.array([10.0, 0]), np.array([0, 2.0])])
    np.testing.assert_allclose(found, 6 * np.sqrt([0.5, 0.5]))


def test_a_store_is_the_same_from_its_file(tmp_path):
    enrolled = store(ann=(0.1, 1 / 3))
    write_enrolled(tmp_path / "s.json", enrolled)
    assert read_enrolled(tmp_path / "s.json") == enrolled


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"'anm' is neither .*\(1 enrolled\); did you"):
        store(ann=(1.0,)).speaker("anm", tmp_path / "s.json")


def test_another_model_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"s\.json: .* \(SHA-256 ab, this model cd\)"):
        store().require_model("cd", tmp_path / "s.json")


def test_a_damaged_store_is_refused(tmp_path):
    (tmp_path / "s.json").write_text('{"model": 3}')
    with pytest.raises(ConfigError, match=r"s\.json: no store of enrolled speakers: model: "):
        read_enrolled(tmp_path / "s.json")
