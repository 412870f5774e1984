"""One of the concurrent trials of the benchmark `memory`, and the store that it reads.

`memory` runs it in separate processes, so that `memory` itself has none of their libraries mapped:
`hardware` prints the machine; `write FOLDER` makes the store; `run FOLDER` trains on it, reads all
of it, prints `ready` and waits until its standard input is closed.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from tests.benchmarks.made_up_store import open_features_of, write_store
from tests.benchmarks.made_up_trial import CPU, made_up_data
from trainable.config.trial_config import TrialConfig
from trainable.features.crop_bank import CropBank
from trainable.features.feature_table import FeatureTable
from trainable.machine.hardware import describe_hardware
from trainable.store.folder import open_complete
from trainable.store.shards import ShardKind
from trainable.store.table import RowTable
from trainable.teachers.targets import TARGETS_STEM, StoredTargets
from trainable.training.trainer import Trainer

FRAMES_OF_ROW = 300
BANK = CropBank(num_crops=8, crop_frames=200, seed=0)
# Embedding, three LSTM layers and bottleneck of the 3.87M teacher.
SIZES = (512, 328, 328, 328, 256)
NUM_STEPS, BATCH_SIZE = 3, 64
CONFIG = {
    "model": {"family": "mlp_mixer", "hidden_dim": 32, "num_blocks": 2},
    "loss": {"distillation": "cosine", "stages": "cosine"},
    "training": {"batch_size": BATCH_SIZE, "crop_frames": BANK.crop_frames},
}


def write_stores(folder: Path, num_rows: int) -> None:
    """Write a store of log-mels and one of targets for its utterances."""
    write_store(folder / "features", num_rows, FRAMES_OF_ROW)
    kind = ShardKind(stem=TARGETS_STEM, vectors="crops", width=sum(SIZES))
    write_store(folder / "targets", num_rows, BANK.num_crops, kind)


def open_targets_of(folder: Path, features: FeatureTable) -> StoredTargets:
    """Open made-up targets as a run does, except that no key is computed."""
    return StoredTargets(
        table=RowTable.of([open_complete(folder)]),
        sizes=SIZES,
        bank=BANK,
        number_of_row=np.arange(len(features.length)),
        latest_of_row=BANK.latest(features.length),
        centres=None,
        device=CPU,
    )


def read_all(table: RowTable) -> None:
    """Read every vector of a table, a batch of rows at a time, as trials do over many epochs."""
    place_X = np.arange(int(table.length[0]))
    for first in range(0, len(table.length), BATCH_SIZE):
        row_B = np.arange(first, min(first + BATCH_SIZE, len(table.length)))
        table.gather(row_B, np.tile(place_X, (len(row_B), 1)))


def train(folder: Path) -> Trainer:
    """Train a few steps of a trial over a folder of `write_stores`, then read all its pages."""
    features = open_features_of(folder / "features")
    targets = open_targets_of(folder / "targets", features)
    data = made_up_data(features, np.arange(NUM_STEPS * BATCH_SIZE))
    trainer = Trainer(TrialConfig.model_validate(CONFIG), data, teacher=targets, device=CPU)
    trainer.run_epoch()
    read_all(features)
    read_all(targets.table)
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["hardware", "write", "run"])
    parser.add_argument("folder", type=Path, nargs="?", default=Path())
    parser.add_argument("--rows", type=int, default=1_000, help="utterances to write")
    options = parser.parse_args()
    if options.task == "hardware":
        print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
        return
    if options.task == "write":
        write_stores(options.folder, options.rows)
        return
    torch.set_num_threads(1)
    trainer = train(options.folder)
    print("ready", flush=True)
    sys.stdin.read()
    assert trainer.epoch == 1  # and is held until now


if __name__ == "__main__":
    main()
