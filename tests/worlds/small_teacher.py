"""Configs of a small teacher and student, and crops of its stored targets."""

from pathlib import Path

import numpy as np
import torch

from tests.worlds.tiny_models import LSTM
from trainable.features.crop_bank import CropBank
from trainable.features.training_data import TrainingData
from trainable.loss.teacher_output import Crops
from trainable.teachers.targets import StoredTargets, open_targets

CROP_FRAMES = 40
BANK = CropBank(num_crops=3, crop_frames=CROP_FRAMES, seed=4)
TEACHER = {
    "model": LSTM | {"num_layers": 2},
    "loss": {"distillation": "none"},
    "training": {"max_epochs": 1, "batch_size": 8, "crop_frames": CROP_FRAMES},
}
STUDENT = {
    "model": {
        "family": "mlp_mixer",
        "hidden_dim": 16,
        "num_blocks": 2,
        "num_frames": CROP_FRAMES,
        "embedding_dim": 24,
    },
    "training": {"max_epochs": 1, "batch_size": 8, "crop_frames": CROP_FRAMES},
}
CPU = torch.device("cpu")


def opened(
    corpus: Path, data: TrainingData, teacher: Path, bank: CropBank = BANK, calls: list[int] = []  # noqa: B006
) -> StoredTargets:
    return open_targets(
        teacher,
        data,
        bank,
        cache_dir=corpus.parent / "cache",
        progress=lambda done, _: calls.append(done),
    )


def drawn(targets: StoredTargets, data: TrainingData, num_crops: int = 16) -> Crops:
    """Crops of originals and copies, as the loop draws them."""
    rng = np.random.default_rng(3)
    row_B = rng.choice(data.copy_row.ravel(), num_crops)
    latest_B = targets.bank.latest(data.features.length[row_B])
    start_B = targets.draw_starts(rng, row_B, latest_B)
    return Crops(data.features.crops(row_B, start_B, CROP_FRAMES), row_B, start_B)
