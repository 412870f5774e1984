"""Teachers and data of made-up corpora for benchmarks, written by the product's own code."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models import LSTMAutoencoderConfig
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.features.feature_table import FeatureTable
from trainable.features.training_data import TrainingData
from trainable.training.trainer import Trainer

NUM_SPEAKERS = 100
NUM_VAL = 3
CPU = torch.device("cpu")

Rows = NDArray[np.int64]


def write_teacher(folder: Path, model: LSTMAutoencoderConfig, data: TrainingData) -> Path:
    """Write the model file of an untrained teacher, which is as fast as a trained one."""
    config = TrialConfig.model_validate(
        {
            "model": model.model_dump(),
            "loss": {"distillation": "none"},
            "training": {"batch_size": 2, "crop_frames": 200},
        }
    )
    return CheckpointFolder(folder).save(Trainer(config, data, device=CPU))


def made_up_data(
    features: FeatureTable, row: Rows | None = None, num_speakers: int = NUM_SPEAKERS
) -> TrainingData:
    """Return rows of a store (all: None) as training utterances of made-up speakers.

    Two pairs of the first rows are the validation list, so that evaluation takes no time.
    """
    row = np.arange(len(features.length)) if row is None else row
    paths = tuple(f"{number}.wav" for number in row)
    return TrainingData(
        features=features,
        speakers=tuple(f"id{number:05d}" for number in range(num_speakers)),
        train_paths=paths,
        val_paths=paths[:NUM_VAL],
        train_row=row,
        copy_row=row[:, None],
        train_speaker=row % num_speakers,
        val_row=row[:NUM_VAL],
        val_a=np.array([0, 0]),
        val_b=np.array([1, 2]),
        val_is_target=np.array([True, False]),
    )
