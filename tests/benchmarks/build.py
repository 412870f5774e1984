"""How fast stores are built: log-mels against decoding alone, targets against the teacher alone.

`make bench NAME=build`, or `python -m tests.benchmarks.build`. The corpus is real speech if
$VEER_MINIVOX names a folder with `wav/`, `train_list.txt` and `veri_val.txt`. Otherwise it is
synthetic: harmonics and noise, 8 s each, 16-bit WAV. The teacher has the demo's size and random
weights: it is as fast as a trained one.

The limits do the work that no build can leave out: `load_wave` of every file, and the teacher's
forward passes on the same batches of crops in memory, with its embeddings and stages as the
result. One process is the local builder; two are Ray Data on a Ray that is already running. The
limits run in as many processes, with one thread each. Rounds are interleaved and files are in the
page cache. The output shows medians, and ratios within a round. The first round is left out.

The targets are for one process. Log-mels at 0.2 of decoding: reading 16-bit WAV is little more
than a copy (0.6 ms of CPU time for 2.9 s of speech on the machine where this was written).
Log-mels (1.0 ms) and checksum and shard on disk (0.6 ms) are added to it, which gives 0.26.
Targets at 0.9 of the teacher: they only add a gather and a few numbers per crop. The verdict's
ratio is the worse of the two against its target. For two processes the corpus is too small: a
build through Ray Data has fixed costs of about a second, which a real corpus does not notice. Its
ratios are printed without a target.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import ray
import torch
from torch import Tensor

from search.cluster.connection import connected
from search.cluster.store_build import ShardBuilder
from spaces.files.yaml_file import write_yaml
from tests.benchmarks.report import finish
from tests.worlds.corpus import write_corpus
from trainable.audio.reading import load_wave
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.reading import read_trial_config
from trainable.corpus.corpus import CorpusConfig, read_corpus, read_corpus_config
from trainable.features.crop_bank import CropBank
from trainable.features.training_data import TrainingData, load_training_data
from trainable.machine.hardware import describe_hardware
from trainable.store import plan as sizes
from trainable.store.tasks import Builder, ProgressCallback, ShardTask, build_shards
from trainable.teachers.network import Teacher, load_teacher
from trainable.teachers.target_builder import CROPS_AT_ONCE
from trainable.teachers.targets import open_targets
from trainable.training.trainer import Trainer

ROUNDS = 5
NUM_SHARDS = 8
BANK = CropBank(num_crops=8, crop_frames=200, seed=0)
TARGETS = {"log-mels": 0.2, "targets": 0.9}
NUM_ASKED = 192
SYNTHETIC = {"num_train_speakers": 16, "num_val_speakers": 4, "num_utterances": 20}
DURATION_S = 8.0


class Timed:
    """A builder that records its speed."""

    def __init__(self, build: Builder) -> None:
        self._build = build
        self.utterances_per_s = 0.0

    def __call__(
        self, tasks: Sequence[ShardTask], num_all: int, progress: ProgressCallback | None
    ) -> tuple[str, ...]:
        """Build, in time."""
        start_s = time.perf_counter()
        faults = self._build(tasks, num_all, progress)
        num_rows = sum(task.num_rows for task in tasks)
        self.utterances_per_s = num_rows / (time.perf_counter() - start_s)
        return faults


def find_corpus(folder: Path) -> tuple[Path, str]:
    """Return a corpus and a description of it."""
    if (real := os.environ.get("VEER_MINIVOX")) is None:
        write_corpus(folder, duration_s=DURATION_S, **SYNTHETIC)
        return folder / "corpus.yaml", "synthetic"
    content = {"train_dir": "wav", "train_list": "train_list.txt", "val_dir": "wav"}
    content = {name: str(Path(real, value)) for name, value in content.items()}
    folder.mkdir()
    write_yaml(folder / "corpus.yaml", content | {"val_list": str(Path(real, "veri_val.txt"))})
    return folder / "corpus.yaml", "real speech of $VEER_MINIVOX"


def decode(paths: Sequence[Path]) -> None:
    """Decode every file: the limit of building log-mels."""
    for path in paths:
        load_wave(path)


@torch.inference_mode()
def forward(teacher: Teacher, batches: Sequence[Tensor]) -> None:
    """Run the teacher's forward passes: the limit of building targets."""
    for feat_BTF in batches:
        teacher.embed(feat_BTF, with_stages=True)


def batches_of(data: TrainingData, numbers: Sequence[int]) -> list[Tensor]:
    """Return the crops of these utterances, in the batches that a build uses."""
    at_once = CROPS_AT_ONCE // BANK.num_crops
    batches = []
    for begin in range(0, len(numbers), at_once):
        number_U = np.array(numbers[begin : begin + at_once])
        latest_U = BANK.latest(data.features.length[number_U])
        start_UC = BANK.starts(number_U, latest_U)
        row_B = np.repeat(number_U, (start_UC >= 0).sum(axis=1))
        crops_BTF = data.features.crops(row_B, start_UC[start_UC >= 0], BANK.crop_frames)
        batches.append(crops_BTF)
    return batches


@ray.remote(num_cpus=1)
class Process:
    """One of the processes of the limits, kept running between rounds."""

    def __init__(self, teacher: Path, corpus: CorpusConfig, cache: Path, part: int) -> None:
        torch.set_num_threads(1)
        data = load_training_data(corpus, cache_dir=cache)
        self._paths = [entry.path for entry in read_corpus(corpus).audio][part::2]
        self._teacher = load_teacher(teacher)
        self._batches = batches_of(data, range(num_asked(data))[part::2])

    def decode(self) -> None:
        """Half of the files."""
        decode(self._paths)

    def forward(self) -> None:
        """Half of the batches."""
        forward(self._teacher, self._batches)


def num_asked(data: TrainingData) -> int:
    """Return how many utterances the teacher is asked about: some are enough for its speed."""
    return min(NUM_ASKED, len(data.train_row))


def some_of(data: TrainingData) -> TrainingData:
    """Return the same features with fewer training utterances."""
    kept = slice(num_asked(data))
    return TrainingData(
        **{name: getattr(data, name) for name in TrainingData.__slots__}
        | {
            "train_paths": data.train_paths[kept],
            "train_row": data.train_row[kept],
            "copy_row": data.copy_row[kept],
            "train_speaker": data.train_speaker[kept],
        }
    )


def pace(work: Callable[[], object], num_utterances: int) -> float:
    """Return utterances per second."""
    start_s = time.perf_counter()
    work()
    return num_utterances / (time.perf_counter() - start_s)


class Bench:
    """What is measured, by number of processes."""

    def __init__(self, corpus: Path, folder: Path) -> None:
        self.config = read_corpus_config(corpus)
        self.paths = [entry.path for entry in read_corpus(self.config).audio]
        self._folder, self._cache = folder, folder / "cache"
        self.data = load_training_data(self.config, cache_dir=self._cache)
        trainer = Trainer(
            read_trial_config("teacher_demo", ()), self.data, device=torch.device("cpu")
        )
        self._file = CheckpointFolder(folder / "teacher").save(trainer)
        self._teacher = load_teacher(self._file)
        self._batches = batches_of(self.data, range(num_asked(self.data)))
        self._processes: list[ray.actor.ActorHandle] = []

    def start_processes(self) -> None:
        """Start two processes for the limits."""
        self._processes = [
            Process.options(num_cpus=0).remote(self._file, self.config, self._cache, part)
            for part in (0, 1)
        ]
        ray.get([each.decode.remote() for each in self._processes])

    def round(self, num_processes: int) -> dict[str, tuple[float, float]]:
        """Measure limit and build of log-mels and of targets, utterances per second."""
        build = build_shards if num_processes == 1 else ShardBuilder(num_workers=2)
        decoding, teaching = self._limits(num_processes)
        paces = {}
        with tempfile.TemporaryDirectory(dir=self._folder) as fresh:
            limit = pace(decoding, len(self.paths))
            timed = Timed(build)
            load_training_data(self.config, cache_dir=Path(fresh), build=timed)
            paces["log-mels"] = limit, timed.utterances_per_s
            asked = some_of(self.data)
            limit = pace(teaching, len(asked.train_row))
            timed = Timed(build)
            open_targets(self._file, asked, BANK, cache_dir=Path(fresh), build=timed)
            paces["targets"] = limit, timed.utterances_per_s
        return paces

    def _limits(self, num_processes: int) -> tuple[Callable[[], object], Callable[[], object]]:
        if num_processes == 1:
            return (lambda: decode(self.paths)), lambda: forward(self._teacher, self._batches)
        return (
            lambda: ray.get([each.decode.remote() for each in self._processes]),
            lambda: ray.get([each.forward.remote() for each in self._processes]),
        )


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    sizes.MIN_SHARD_BYTES, sizes.MIN_SHARDS = 1, NUM_SHARDS
    measured: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name, connected(None, num_cpus=6):
        corpus, what = find_corpus(Path(name) / "corpus")
        bench = Bench(corpus, Path(name))
        bench.start_processes()
        print(
            f"{what}: {len(bench.paths)} utterances, {num_asked(bench.data)} of them asked about"
        )
        print(describe_hardware())
        for number in range(rounds + 1):
            for num_processes in (1, 2):
                for kind, pair in bench.round(num_processes).items():
                    if number:
                        measured.setdefault((kind, num_processes), []).append(pair)
    finish("build", ratio=report(measured), target=1.0)


def report(measured: dict[tuple[str, int], list[tuple[float, float]]]) -> float:
    """Print a line per kind and number of processes; return the worst ratio to its target."""
    print(f"{'':9} processes  limit/s  built/s  ratio  target")
    worst = float("inf")
    for (kind, num_processes), pairs in sorted(measured.items()):
        limit, built = (median(column) for column in zip(*pairs, strict=True))
        ratio, target = median(built / limit for limit, built in pairs), TARGETS[kind]
        is_judged = num_processes == 1
        worst = min(worst, ratio / target) if is_judged else worst
        shown = f"{target:.2f}" if is_judged else "-"
        print(f"{kind:9} {num_processes:9d} {limit:8.1f} {built:8.1f} {ratio:6.2f} {shown:>7}")
    return worst


if __name__ == "__main__":
    main()
