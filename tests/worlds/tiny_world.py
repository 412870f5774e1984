"""A tiny world to search in: corpus, space, teacher and cache, made in seconds."""

from pathlib import Path
from typing import Any

import torch

from spaces.files.yaml_file import write_yaml
from tests.worlds.corpus import write_corpus
from tests.worlds.tiny_models import LSTM
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.training.trainer import Trainer

TINY_TEACHER = {
    "model": LSTM | {"embedding_dim": 32},
    "loss": {"distillation": "none"},
    "training": {"batch_size": 8, "crop_frames": 80},
}
TINY_SPACE = {
    "model": {
        "family": "mlp_mixer",
        "hidden_dim": {"choices": [8, 16]},
        "num_blocks": 1,
        "num_frames": 80,
        "embedding_dim": 32,
    },
    "loss": {
        "distillation": {"choices": ["mse", "cosine", "none"]},
        "alpha": {"low": 0.1, "high": 0.9, "when": {"loss.distillation": ["mse", "cosine"]}},
    },
    "training": {
        "batch_size": 8,
        "crop_frames": 80,
        "lr": {"low": 1e-3, "high": 1e-2, "log": True},
    },
}


def build_tiny_world(folder: Path) -> Path:
    """Write a corpus, a space, a trained teacher and a cache into a folder."""
    corpus = write_corpus(folder / "corpus")
    write_yaml(folder / "space.yaml", TINY_SPACE)
    data = load_training_data(read_corpus_config(corpus), cache_dir=folder / "cache")
    trainer = Trainer(
        TrialConfig.model_validate(TINY_TEACHER), data, device=torch.device("cpu")
    )
    for _ in range(2):
        trainer.run_epoch()
        CheckpointFolder(folder / "teacher").save(trainer)
    return folder


def small_search(world: Path) -> dict[str, Any]:
    """Settings of a tiny search: 4 trials of 3 epochs, one at once."""
    return {
        "corpus": str(world / "corpus" / "corpus.yaml"),
        "teacher": str(world / "teacher"),
        "space": str(world / "space.yaml"),
        "num_trials": 4,
        "max_epochs": 3,
        "max_concurrent": 1,
        "scheduler": {"grace_epochs": 1},
        "keep_best": 2,
        "benchmark_top": 0,
    }
