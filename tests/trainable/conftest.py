"""Fixtures of trainings: the tiny corpus, embeddings for a file, a plug-in of a toy trainer."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from models import LSTMAutoencoderConfig, build_model
from tests.worlds.corpus import write_corpus
from tests.worlds.embedding_rows import Columns
from tests.worlds.toy_trainer import write_plugin, write_worker
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import TrainingData, load_training_data
from trainable.teachers.network import Teacher


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """The tiny corpus, opened; a test that changes files or stores makes its own."""
    folder = tmp_path_factory.mktemp("corpus")
    corpus = read_corpus_config(write_corpus(folder))
    return load_training_data(corpus, cache_dir=folder / "cache")


@pytest.fixture(scope="session")
def network() -> Teacher:
    """A teacher, untrained, whose embeddings the files hold."""
    torch.manual_seed(0)
    config = LSTMAutoencoderConfig(
        hidden_dim=16, num_layers=1, bottleneck_dim=12, embedding_dim=24
    )
    return Teacher(model=build_model(config))


@pytest.fixture
def columns(data: TrainingData, network: Teacher) -> Columns:
    """The network's embeddings of four crops of every training utterance, shuffled."""
    rows = []
    for path, row in zip(data.train_paths, data.train_row, strict=True):
        for start in (0, 7, 30, 60):
            feat_1TF = data.features.crops(np.array([row]), np.array([start]), 40)
            rows.append((path, start, 40, network.model.embed(feat_1TF)[0].tolist()))
    np.random.default_rng(0).shuffle(rows)
    names = ("utterance", "start_frame", "num_frames", "embedding")
    return dict(zip(names, (list(each) for each in zip(*rows, strict=True)), strict=True))


@pytest.fixture
def make_plugin(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a trainer, a model file and a plug-in's YAML, and returns that."""
    return partial(write_plugin, tmp_path / "theirs")


@pytest.fixture
def use_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that puts a quick worker in place of the real one; see `write_worker`."""

    def use(answer: str, start: str = "") -> None:
        worker = write_worker(tmp_path, answer, start)
        monkeypatch.setattr("trainable.foreign_models.plugin.WORKER", worker)

    return use


@pytest.fixture
def code_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.user_code.is_code_allowed", lambda: True)
