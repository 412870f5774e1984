"""What a large store costs: a million utterances of 5,994 speakers against ten thousand of them.

`make bench NAME=scale`, or `python -m tests.benchmarks.scale`; `--rows 100000` for a smaller one.
The features are tiny (4 frames per utterance, in shards of 100,000 utterances). The speakers are
made up, the same in both stores, and so is the student. Each store is opened in separate
processes, in turns. Measured are the time to open, the memory of the process that it shares with
no other, and the time of a training step on random utterances of the whole store. Looking up the
audio files' sizes and times for the key is timed separately, on one file that is looked up once
for each utterance: this time grows with the corpus. The target: a step on the large store takes at
most a tenth longer.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from tests.benchmarks.made_up_store import NUM_SPEAKERS, open_features_of, write_store
from tests.benchmarks.made_up_trial import CPU, made_up_data
from tests.benchmarks.report import finish
from trainable.audio.reading import AudioEntry
from trainable.config.trial_config import TrialConfig
from trainable.features.feature_table import FeatureTable
from trainable.features.request import store_key
from trainable.features.training_data import TrainingData
from trainable.machine.hardware import describe_hardware
from trainable.store.plan import MANIFEST
from trainable.training.trainer import Trainer

NUM_SMALL, NUM_LARGE = 10_000, 1_000_000
FRAMES_OF_ROW = 4
NUM_STEPS, BATCH_SIZE = 20, 64
ROUNDS = 5
TARGET = 1 / 1.1
CONFIG = {
    "model": {
        "family": "mlp_mixer",
        "hidden_dim": 32,
        "num_blocks": 2,
        "num_frames": 200,
        "embedding_dim": 64,
    },
    "loss": {"distillation": "none"},
    "training": {"batch_size": BATCH_SIZE, "crop_frames": 200},
}


def an_epoch_of(features: FeatureTable) -> TrainingData:
    """Return an epoch of random utterances of the whole store."""
    num_rows = len(features.length)
    row = np.random.default_rng(1).choice(num_rows, NUM_STEPS * BATCH_SIZE, replace=False)
    return made_up_data(features, row, NUM_SPEAKERS)


def private_mb() -> float:
    """Return the memory of this process that belongs to no file, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("RssAnon"))
    return int(kilobytes) / 1000


def measure(folder: Path) -> dict[str, float]:
    """Measure in this process."""
    torch.set_num_threads(1)
    before_mb = private_mb()
    started = time.perf_counter()
    features = open_features_of(folder)
    open_ms = 1e3 * (time.perf_counter() - started)
    store_mb = private_mb() - before_mb
    trainer = Trainer(TrialConfig.model_validate(CONFIG), an_epoch_of(features), device=CPU)
    step_ms = min(1e3 * trainer.run_epoch().train_s / NUM_STEPS for _ in range(2))
    return {
        "open, ms": open_ms,
        "store, MB": store_mb,
        "process, MB": private_mb(),
        "step, ms": step_ms,
    }


def measure_elsewhere(folder: Path) -> dict[str, float]:
    """Call `measure` in a new process."""
    command = [sys.executable, "-m", "tests.benchmarks.scale", "--measure", str(folder)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(run.stdout)
    return figures


def key_s(folder: Path, num_rows: int) -> float:
    """Return the seconds of computing the key over as many files."""
    entries = [AudioEntry(path=folder / MANIFEST, listed_at="train_list.txt:1")] * num_rows
    started = time.perf_counter()
    store_key(entries, 0)
    return time.perf_counter() - started


def compare(cache: Path, num_large: int) -> None:
    """Measure both stores in turns, print, and exit with the verdict."""
    rows = {"small": NUM_SMALL, "large": num_large}
    for name, num_rows in rows.items():
        write_store(cache / name, num_rows, FRAMES_OF_ROW)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in rows}
    for _ in range(ROUNDS):
        for name in rows:
            rounds[name].append(measure_elsewhere(cache / name))
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    print(f"{'':12s} {NUM_SMALL:>12,d} {num_large:>12,d}   ratio  (medians of {ROUNDS})")
    for figure in rounds["small"][0]:
        small, large = (median(r[figure] for r in rounds[name]) for name in rows)
        print(f"{figure:12s} {small:12.2f} {large:12.2f} {large / small:7.2f}")
    keys = [key_s(cache / "small", num_rows) for num_rows in rows.values()]
    print(f"{'key, s':12s} {keys[0]:12.2f} {keys[1]:12.2f} {keys[1] / keys[0]:7.2f}")
    steps = [min(r["step, ms"] for r in rounds[name]) for name in rows]
    finish("scale", ratio=steps[0] / steps[1], target=TARGET)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=NUM_LARGE, help="utterances of the large one")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    with tempfile.TemporaryDirectory() as cache:
        compare(Path(cache), options.rows)


if __name__ == "__main__":
    main()
