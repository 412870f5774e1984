"""A search step with stored targets of a teacher ten times as large against one of the usual size.

`make bench NAME=teacher-size`, or `python -m tests.benchmarks.teacher_size`; `--rounds 20` for a
shorter one. Veer's own code writes the targets of two untrained LSTM+Autoencoder teachers, of 3.9
and 44.9 million parameters, for the crops of a made-up store of log-mels. Then two trials of a
student of width 64 with 4 blocks train in turns on one thread, a step each (an epoch of one
batch); the order changes in every second round. They differ only in the teacher. Their loss
compares embeddings and stages (cosine), so that all stored numbers are read. The ratio is of the
time of a step: the median over rounds of the usual teacher's over the large one's in the same
round. The target: within 5 %, in both directions. The time of asking the teachers is printed
separately, and so is the CPU time of an epoch, on which other work on the machine has less effect.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from models import LSTMAutoencoderConfig
from tests.benchmarks.made_up_store import open_features_of, write_store
from tests.benchmarks.made_up_trial import CPU, made_up_data, write_teacher
from tests.benchmarks.report import finish
from trainable.checkpoints.loading import load_speaker_model
from trainable.config.trial_config import TrialConfig
from trainable.features.crop_bank import CropBank
from trainable.features.training_data import TrainingData
from trainable.machine.hardware import describe_hardware
from trainable.teachers.targets import StoredTargets, open_targets
from trainable.training.trainer import Trainer

TEACHERS = {
    "usual": LSTMAutoencoderConfig(),
    "large": LSTMAutoencoderConfig(hidden_dim=1024, num_layers=5),
}
BATCH_SIZE = 64
FRAMES_OF_ROW = 300
BANK = CropBank(num_crops=2, crop_frames=200, seed=0)
ROUNDS = 40
TARGET = 1 / 1.05
CONFIG = {
    "model": {"family": "mlp_mixer", "hidden_dim": 64, "num_blocks": 4},
    "loss": {"distillation": "cosine", "stages": "cosine"},
    "training": {"batch_size": BATCH_SIZE, "crop_frames": BANK.crop_frames},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """The targets of a teacher, and what they cost.

    Attributes:
        targets: The opened targets.
        num_params: Parameters of the teacher.
        build_s: Seconds of asking it.
    """

    targets: StoredTargets
    num_params: int
    build_s: float


def closeness(first: list[float], second: list[float]) -> float:
    """Return how near the median ratio of paired times is to 1: it or its inverse, at most 1."""
    ratio = median(a / b for a, b in zip(first, second, strict=True))
    return min(ratio, 1 / ratio)


def ask(model: LSTMAutoencoderConfig, folder: Path, data: TrainingData) -> Taught:
    """Build the targets of an untrained teacher in a separate cache."""
    file = write_teacher(folder, model, data)
    started = time.perf_counter()
    targets = open_targets(file, data, BANK, cache_dir=folder / "cache")
    build_s = time.perf_counter() - started
    num_params = sum(weight.numel() for weight in load_speaker_model(file).model.parameters())
    return Taught(targets=targets, num_params=num_params, build_s=build_s)


class Step(NamedTuple):
    """The milliseconds of a step.

    Attributes:
        wall_ms: Wall time.
        cpu_ms: CPU time, with the evaluation of two pairs.
    """

    wall_ms: float
    cpu_ms: float


def timed_steps(
    taught: dict[str, Taught], data: TrainingData, rounds: int
) -> dict[str, list[Step]]:
    """Run a step of each trial per round, after a round to warm up."""
    config = TrialConfig.model_validate(CONFIG)
    trainers = {
        name: Trainer(config, data, teacher=one.targets, device=CPU)
        for name, one in taught.items()
    }
    steps: dict[str, list[Step]] = {name: [] for name in trainers}
    names = list(trainers)
    for number in range(rounds + 1):
        for name in names if number % 2 else reversed(names):
            before_s = time.process_time()
            wall_s = trainers[name].run_epoch().train_s
            if number:
                cpu_s = time.process_time() - before_s
                steps[name].append(Step(1e3 * wall_s, 1e3 * cpu_s))
    return steps


def print_ratio(kind: str, usual: list[float], large: list[float]) -> None:
    """Print the times of a step and how they compare."""
    ratio_R = np.array(usual) / np.array(large)
    low, high = np.quantile(ratio_R, [0.1, 0.9])
    print(
        f"step, {kind}: usual {median(usual):.1f} ms (least {min(usual):.1f}), "
        f"large {median(large):.1f} ms (least {min(large):.1f}); usual / large "
        f"{np.median(ratio_R):.3f}, {low:.3f} to {high:.3f} in 8 of 10 of {len(ratio_R)} rounds"
    )


def compare(folder: Path, rounds: int) -> None:
    """Ask both teachers, train with each, print, and exit with the verdict."""
    write_store(folder / "log-mels", BATCH_SIZE, FRAMES_OF_ROW)
    data = made_up_data(open_features_of(folder / "log-mels"))
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    taught = {name: ask(model, folder / name, data) for name, model in TEACHERS.items()}
    for name, one in taught.items():
        print(
            f"{name} teacher: {one.num_params:,d} parameters, {sum(one.targets.sizes):,d} numbers "
            f"a crop, asked in {one.build_s:.1f} s",
            flush=True,
        )
    print(f"asking: large / usual {taught['large'].build_s / taught['usual'].build_s:.1f}")
    steps = timed_steps(taught, data, rounds)
    wall_ms = {name: [step.wall_ms for step in each] for name, each in steps.items()}
    print_ratio("CPU time", *([step.cpu_ms for step in each] for each in steps.values()))
    print_ratio("time", *wall_ms.values())
    finish("teacher-size", ratio=closeness(wall_ms["usual"], wall_ms["large"]), target=TARGET)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="steps of each trial")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), rounds)


if __name__ == "__main__":
    main()
