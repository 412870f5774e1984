"""What an export knows of its scores: a stored calibration, else one of the validation scores."""

import json
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results.analysis.run_view import RunView
from results.analysis.trial_scores import PAIRS_SCHEMA, pairs_file
from results.export.export import export_trial
from results.export.exported_model import find_export, load_exported
from results.journal.run_folder import RunFolder
from spaces.files.errors import CheckpointError
from trainable.calibration.calibration import (
    CALIBRATION_FILE,
    read_calibration,
    write_calibration,
)
from trainable.checkpoints.loading import load_speaker_model
from trainable.embedding.embedder import weights_sha256
from trainable.verification.intervals import NUM_REPLICATES
from trainable.verification.scores import SCORES_FILE, MeasuredScores, write_scores


@pytest.fixture
def scored_run(trained_run: RunFolder) -> RunFolder:
    """The trained run with a list of seven speakers, and scores of its trial."""
    names = [(speaker, f"{speaker}/{n}.wav") for speaker in "abcdefg" for n in range(3)]
    rows = [
        {"path_a": a, "path_b": b, "speaker_a": s, "speaker_b": t, "is_target": s == t}
        for (s, a), (t, b) in combinations(names, 2)
    ]
    pairs_file(trained_run.path).parent.mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=PAIRS_SCHEMA), pairs_file(trained_run.path))
    rng = np.random.default_rng(0)
    scores = np.array([rng.normal() + row["is_target"] for row in rows], np.float32)
    best = RunView.read(trained_run).histories[0].best
    assert best is not None
    measured = MeasuredScores(
        epoch=best.epoch,
        veer_pct=best.veer_pct,
        scores=scores,
        replicates=np.zeros(NUM_REPLICATES, np.float32),
    )
    write_scores(trained_run.trial(0) / SCORES_FILE, measured)
    return trained_run


def test_an_export_has_the_weights_of_its_trial(trained_run: RunFolder) -> None:
    folder = export_trial(RunView.read(trained_run)).folder
    of_trial = weights_sha256(load_speaker_model(trained_run.trial(0)).model)
    assert weights_sha256(load_exported(folder).model) == of_trial
    assert find_export(folder / "weights.safetensors") == find_export(folder) == folder
    assert find_export(trained_run.path) is None
    # Without validation scores there is nothing to decide by.
    assert not (folder / CALIBRATION_FILE).exists()


def test_an_export_decides_by_the_validation_scores_of_its_run(scored_run: RunFolder) -> None:
    folder = export_trial(RunView.read(scored_run)).folder
    digest = weights_sha256(load_exported(folder).model)
    found = read_calibration(folder / CALIBRATION_FILE, digest)
    assert found.basis == "validation scores of trial 0, epoch 1"
    assert (found.num_speakers, found.num_target_pairs, found.num_nontarget_pairs) == (7, 21, 189)
    assert found.points[0].miss_range is not None
    # The crops of validation, not those of a final evaluation.
    assert (found.num_crops, found.num_frames) == (2, 40)


def test_a_stored_calibration_goes_before_and_not_that_of_another_epoch(
    scored_run: RunFolder,
) -> None:
    folder = export_trial(RunView.read(scored_run)).folder
    digest = weights_sha256(load_exported(folder).model)
    found = read_calibration(folder / CALIBRATION_FILE, digest)
    stored = scored_run.trial(0) / CALIBRATION_FILE
    for sha256, basis in ((digest, "a longer list"), ("ff", found.basis)):
        changed = {"basis": "a longer list", "weights_sha256": sha256}
        write_calibration(stored, found.model_copy(update=changed))
        export_trial(RunView.read(scored_run))
        assert json.loads((folder / CALIBRATION_FILE).read_text())["basis"] == basis


def test_weights_that_are_cut_short_are_refused(trained_run: RunFolder) -> None:
    folder = export_trial(RunView.read(trained_run)).folder
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: cannot be read: .*again"):
        load_exported(folder)
