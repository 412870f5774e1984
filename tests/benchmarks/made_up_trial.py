"""Teachers and data of made-up corpora for benchmarks, written by the product's own code."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from models import LSTMAutoencoderConfig
from trainable.checkpoint import CheckpointFolder
from trainable.config import TrialConfig
from trainable.data import TrainingData
from trainable.features import FeatureTable
from trainable.training import Trainer

NUM_SPEAKERS = 100
NUM_VAL = 3
CPU = torch.device("cpu")


def write_teacher(folder: Path, model: LSTMAutoencoderConfig, data: TrainingData) -> Path:
    """The model file of an untrained teacher: as fast as a trained one."""
    config = TrialConfig.model_validate(
        {
            "model": model.model_dump(),
            "loss": {"distillation": "none"},
            "training": {"batch_size": 2, "crop_frames": 200},
        }
    )
    return CheckpointFolder(folder).save(Trainer(config, data, device=CPU))


def made_up_data(features: FeatureTable, num_rows: int | None = None) -> TrainingData:
    """The first rows of a store (all: None) as training utterances of made-up speakers."""
    row = np.arange(len(features.length))[:num_rows]
    data = TrainingData(
        features=features,
        speakers=tuple(f"id{number:05d}" for number in range(NUM_SPEAKERS)),
        train_paths=tuple(f"{number}.wav" for number in row),
        val_paths=(),
        train_row=row,
        copy_row=row[:, None],
        train_speaker=row % NUM_SPEAKERS,
        val_row=row[:0],
        val_a=row[:0],
        val_b=row[:0],
        val_is_target=np.zeros(0, np.bool_),
    )
    return with_few_pairs(data)


def with_few_pairs(data: TrainingData) -> TrainingData:
    """The same with two validation pairs of training utterances: evaluation takes no time."""
    return replace(
        data,
        val_paths=data.train_paths[:NUM_VAL],
        val_row=data.train_row[:NUM_VAL],
        val_a=np.array([0, 0]),
        val_b=np.array([1, 2]),
        val_is_target=np.array([True, False]),
    )
