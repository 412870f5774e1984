"""Scores of the best epoch so far: made by the loop, on disk before the epoch is reported."""

import numpy as np
import pytest
import torch

from spaces.files.errors import DamagedError
from tests.damage import empty, flip_bit, halve
from tests.worlds.corpus import write_corpus
from tests.worlds.tiny_models import MIXER
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.training.saved_epoch import write_new_scores
from trainable.training.trainer import Trainer
from trainable.verification.metrics import dprime, equal_error_rate
from trainable.verification.score_evaluator import ScoreEvaluator
from trainable.verification.scores import MeasuredScores, read_scores, scores_bytes, write_scores

CONFIG = TrialConfig.model_validate(
    {
        "model": MIXER,
        "loss": {"distillation": "none"},
        "training": {"batch_size": 8, "crop_frames": 40, "max_epochs": 4, "eval_crops": 2},
    }
)  # fmt: skip
SCORES = MeasuredScores(
    epoch=3,
    veer_pct=12.345678901234567,
    scores=np.linspace(-1, 1, 50, dtype=np.float32),
    replicates=np.array([10, np.nan, 14], np.float32),
)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A corpus with enough validation speakers for intervals."""
    folder = tmp_path_factory.mktemp("many")
    corpus = read_corpus_config(write_corpus(folder, num_val_speakers=8))
    return load_training_data(corpus, cache_dir=folder / "cache")


def trainer_of(data):
    return Trainer(CONFIG, data, device=torch.device("cpu"))


def set_scores(trainer, monkeypatch, *veers):
    """Let the next validations give scores with these parts of the targets rejected."""
    targets = trainer.data.val_is_target
    lists = []
    for share in veers:
        scores = targets + 0.01 * np.random.default_rng(0).normal(size=targets.size)
        wrong = np.flatnonzero(targets)[: round(share * targets.sum())]
        scores[wrong] = -1
        lists.append(scores)
    monkeypatch.setattr(trainer._validation, "scores", lambda *_: lists.pop(0))


def test_only_an_epoch_better_than_all_before_has_scores_and_an_interval(many, monkeypatch):
    trainer = trainer_of(many)
    set_scores(trainer, monkeypatch, 0.3, 0.4, 0.3, 0.2)
    reports, kept = [], []
    for _ in range(4):
        reports.append(trainer.run_epoch())
        kept.append(trainer.new_scores)
    assert [each is not None for each in kept] == [True, False, False, True]
    for report, scores in zip(reports, kept, strict=True):
        if scores is None:
            assert report.veer_low_pct is report.veer_high_pct is None
        else:
            assert (scores.epoch, scores.veer_pct) == (report.epoch, report.veer_pct)
            assert 0 < report.veer_low_pct < report.veer_pct < report.veer_high_pct < 100


def test_the_veer_is_that_of_the_scores(many):
    trainer = trainer_of(many)
    report = trainer.run_epoch()
    kept = trainer.new_scores
    assert equal_error_rate(kept.scores, many.val_is_target) == pytest.approx(report.veer_pct)
    assert np.nanmean(kept.replicates) == pytest.approx(report.veer_pct, abs=6)
    assert dprime(kept.scores, many.val_is_target) == pytest.approx(report.dprime, rel=1e-4)


def test_a_restored_trial_writes_no_scores_until_it_is_better(many, monkeypatch, tmp_path):
    first = trainer_of(many)
    set_scores(first, monkeypatch, 0.2)
    first.run_epoch()
    write_new_scores(first, tmp_path)
    CheckpointFolder(tmp_path).save(first)
    written = (tmp_path / "scores.npz").read_bytes()

    second = trainer_of(many)
    CheckpointFolder(tmp_path).restore(second)
    assert second.new_scores is None
    set_scores(second, monkeypatch, 0.3, 0.1)
    second.run_epoch()
    write_new_scores(second, tmp_path)
    assert (tmp_path / "scores.npz").read_bytes() == written
    second.run_epoch()
    write_new_scores(second, tmp_path)
    assert read_scores(tmp_path / "scores.npz").epoch == 3


def test_a_few_speakers_have_scores_but_no_interval(data):
    trainer = trainer_of(data)
    report = trainer.run_epoch()
    assert report.veer_low_pct is None
    assert trainer.new_scores.scores.size == data.val_is_target.size


def test_what_is_written_is_read(tmp_path):
    write_scores(tmp_path / "new" / "scores.npz", SCORES)
    found = read_scores(tmp_path / "new" / "scores.npz")
    assert (found.epoch, found.veer_pct) == (SCORES.epoch, SCORES.veer_pct)
    np.testing.assert_array_equal(found.scores, SCORES.scores)
    np.testing.assert_array_equal(found.replicates, SCORES.replicates)


def test_the_file_is_not_larger_than_its_bound(data, tmp_path):
    measured = ScoreEvaluator(data).measure(np.linspace(0, 1, data.val_is_target.size))
    write_scores(tmp_path / "scores.npz", measured)
    size = (tmp_path / "scores.npz").stat().st_size
    assert size <= scores_bytes(data.val_is_target.size)


@pytest.mark.parametrize("damage", [empty, halve, flip_bit])
def test_a_damaged_file_is_refused(tmp_path, damage):
    file = tmp_path / "scores.npz"
    write_scores(file, SCORES)
    damage(file)
    with pytest.raises(DamagedError, match=r"scores\.npz: these scores are damaged: "):
        read_scores(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"scores": np.zeros(3)}, "scores must be a row of float32, got float64"),
        ({"replicates": np.zeros((2, 2), np.float32)}, r"got float32 of shape \(2, 2\)"),
        ({"scores": np.array([np.nan], np.float32)}, "one is NaN or infinite"),
        ({"veer_pct": np.nan}, "one is NaN or infinite"),
        ({"scores": np.array([{}], dtype=object)}, "allow_pickle=False"),
        ({"epoch": np.zeros(2)}, "damaged: "),
    ],
)
def test_a_file_with_other_content_is_refused(tmp_path, content, message):
    file = tmp_path / "scores.npz"
    whole = {name: getattr(SCORES, name) for name in ("epoch", "veer_pct", "scores", "replicates")}
    np.savez(file, **whole | content)
    with pytest.raises(DamagedError, match=message):
        read_scores(file)


def test_a_file_without_replicates_is_refused(tmp_path):
    np.savez(tmp_path / "scores.npz", epoch=1, veer_pct=1.0, scores=SCORES.scores)
    with pytest.raises(DamagedError, match="replicates"):
        read_scores(tmp_path / "scores.npz")
