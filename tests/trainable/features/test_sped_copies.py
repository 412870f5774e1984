"""Sped copies: their waves, their classes, and the teachers that cannot know them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from spaces.files.errors import TrainingError
from tests.worlds.corpus import SAMPLE_RATE_HZ, write_corpus
from tests.worlds.tiny_models import LSTM, TINY_MIXER
from trainable.audio.speed import Speed
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.loading import load_speaker_model
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.crop_bank import TargetsConfig
from trainable.features.training_data import (
    TrainingData,
    load_training_data,
    reopen_training_data,
    reopening_keys,
)
from trainable.loss.teacher_output import Crops
from trainable.teachers.any_teacher import prepare_teacher
from trainable.teachers.stored import load_stored_teacher
from trainable.teachers.targets import open_targets
from trainable.training.epoch_crops import draw_epoch_crops
from trainable.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_sped_tone_is_shorter_and_higher_by_the_factor(factor: float) -> None:
    time_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone_S = np.sin(2 * np.pi * 440 * time_s).astype(np.float32)
    sped_S = Speed(factor=factor)(tone_S, Path("unused"))
    assert len(sped_S) == pytest.approx(SAMPLE_RATE_HZ / factor, abs=1)
    expected = np.sin(2 * np.pi * 440 * factor * np.arange(len(sped_S)) / SAMPLE_RATE_HZ)
    # Away from the ends, where the filter of the resampling lacks half of its input.
    np.testing.assert_allclose(sped_S[100:-100], expected[100:-100], atol=2e-3)


@pytest.mark.parametrize(
    ("factors", "message"),
    [([1.0], "not 1.*got 1"), ([3], "got 3"), ([0.905], "two decimals"), ([0.9, 0.9], "once")],
)
def test_factors_that_break_a_rule_are_named(
    factors: list[float], message: str, tmp_path: Path
) -> None:
    config = read_corpus_config(write_corpus(tmp_path))
    with pytest.raises(ValidationError, match=message):
        type(config).model_validate(config.model_dump() | {"speed_factors": factors})


@pytest.fixture(scope="module")
def sped(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingData, Path]:
    """A corpus with an augmented and two sped copies, and its cache."""
    folder = tmp_path_factory.mktemp("sped")
    config = read_corpus_config(write_corpus(folder))
    tree = config.model_dump() | {"speed_factors": (0.9, 1.1), "augmentation": {"copies": 1}}
    corpus = type(config).model_validate(tree)
    data = load_training_data(corpus, cache_dir=folder / "cache")
    again = reopen_training_data(corpus, reopening_keys(corpus, data))
    assert again.speakers == data.speakers
    return data, folder


def test_every_speed_has_classes_of_its_own(sped: tuple[TrainingData, Path]) -> None:
    data, _ = sped
    num_speakers, num_utterances = data.num_speakers, len(data.train_row)
    assert len(set(data.train_speaker)) == num_speakers == 6
    names = data.speakers[:num_speakers]
    assert data.speakers[num_speakers:] == (
        *(f"{name}@0.9" for name in names),
        *(f"{name}@1.1" for name in names),
    )
    assert data.copy_row.shape == (num_utterances, 4)
    lengths = data.features.length[data.copy_row]
    np.testing.assert_array_equal(lengths[:, 1], lengths[:, 0])
    np.testing.assert_allclose(lengths[:, 2], lengths[:, 0] / 0.9, atol=2)
    np.testing.assert_allclose(lengths[:, 3], lengths[:, 0] / 1.1, atol=2)
    offset = {0: 0, 1: 0, 2: num_speakers, 3: 2 * num_speakers}
    version_of = {row: version for version in range(4) for row in data.copy_row[:, version]}
    speaker_of = dict(zip(data.train_row, data.train_speaker, strict=True))
    drawn = [draw_epoch_crops(data, None, 40, np.random.default_rng(n)) for n in range(40)]
    versions = []
    for epoch in drawn:
        for row, speaker in zip(epoch.row, epoch.speaker, strict=True):
            versions.append(version_of[row])
            assert speaker == speaker_of[row % num_utterances] + offset[version_of[row]]
    shares = np.bincount(versions, minlength=4) / len(versions)
    np.testing.assert_allclose(shares, 0.25, atol=0.05)
    originals = draw_epoch_crops(data, None, 40, np.random.default_rng(0), with_copies=False)
    assert set(originals.speaker) == set(range(num_speakers))


def test_a_student_is_trained_on_all_classes(sped: tuple[TrainingData, Path]) -> None:
    data, _ = sped
    trainer = Trainer(TrialConfig.model_validate(TINY_MIXER), data, device=CPU)
    report = trainer.run_epoch()
    assert trainer.objective.classifier.weight.shape[0] == len(data.speakers) == 18
    assert 0 <= report.train_accuracy_pct <= 100
    assert trainer.state()["veer"]["speakers"] == list(data.speakers)


def test_a_network_embeds_the_sped_copies_themselves(sped: tuple[TrainingData, Path]) -> None:
    data, folder = sped
    tree = TINY_MIXER | {"model": LSTM}
    trainer = Trainer(TrialConfig.model_validate(tree), data, device=CPU)
    trainer.run_epoch()
    file = CheckpointFolder(folder / "teacher").save(trainer)
    bank = TargetsConfig(num_crops=2).bank(40, "cpu")
    targets = open_targets(file, data, bank, cache_dir=folder / "cache").to(CPU)
    model, rng = load_speaker_model(file).model, np.random.default_rng(0)
    for version in (2, 3):
        row_U = data.copy_row[:5, version]
        start_U = targets.draw_starts(rng, row_U, bank.latest(data.features.length[row_U]))
        feat_BTF = data.features.crops(row_U, start_U, 40)
        found = targets.output(Crops(feat_BTF, row_U, start_U), with_stages=False).embedding_BD
        torch.testing.assert_close(found, model.embed(feat_BTF), rtol=1e-2, atol=1e-2)


def test_embeddings_by_utterance_are_refused(sped: tuple[TrainingData, Path]) -> None:
    data, folder = sped
    with pytest.raises(TrainingError, match=r"speed_factors must be empty in corpus\.yaml, got 2"):
        load_stored_teacher(folder / "teacher.parquet", data)


@pytest.mark.usefixtures("code_allowed")
def test_a_plug_in_is_refused_before_it_embeds(
    sped: tuple[TrainingData, Path], make_plugin: Callable[..., Path]
) -> None:
    data, folder = sped
    corpus = read_corpus_config(folder / "corpus.yaml")
    with pytest.raises(TrainingError, match="are not those of sped copies"):
        prepare_teacher(make_plugin(), corpus, data, folder / "run")
    assert not (folder / "run").exists()
