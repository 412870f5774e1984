"""A corpus with copies, a teacher's file, and its stored targets."""

from pathlib import Path

import pytest

from tests.worlds.corpus import write_corpus
from tests.worlds.small_teacher import CPU, TEACHER, opened
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import TrainingData, load_training_data
from trainable.teachers.targets import StoredTargets
from trainable.training.trainer import Trainer


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One augmented copy per training utterance; one utterance is shorter than a crop."""
    folder = tmp_path_factory.mktemp("targets")
    file = write_corpus(folder)
    file.write_text(file.read_text() + "augmentation: {copies: 1}\nmin_duration_s: 0.2\n")
    return file


@pytest.fixture(scope="module")
def data_with_copies(corpus: Path) -> TrainingData:
    return load_training_data(read_corpus_config(corpus), cache_dir=corpus.parent / "cache")


@pytest.fixture(scope="module")
def teacher_file(corpus: Path, data_with_copies: TrainingData) -> Path:
    trainer = Trainer(TrialConfig.model_validate(TEACHER), data_with_copies, device=CPU)
    trainer.run_epoch()
    return CheckpointFolder(corpus.parent / "teacher").save(trainer)


@pytest.fixture(scope="module")
def targets(corpus: Path, data_with_copies: TrainingData, teacher_file: Path) -> StoredTargets:
    return opened(corpus, data_with_copies, teacher_file)
