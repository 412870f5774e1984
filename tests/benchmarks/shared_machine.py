"""A teacher's training beside other work: crops a second with one thread, with all, and chosen.

`make bench NAME=shared-machine ARGS='--busy 6'`. The load is made here: processes that compute
without a pause, three for every core unless `--busy` gives another number; a second part is
without them. All three numbers of threads take turns within one run. The chosen number may lose at
most a quarter against one thread.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from search.cli.entry import SPIN_COUNT
from tests.benchmarks.report import Verdict, finish_all
from tests.worlds.corpus import write_corpus
from trainable.config.reading import read_trial_config
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.machine.cores import available_cores
from trainable.machine.hardware import describe_hardware
from trainable.machine.memory_share import set_compute_threads
from trainable.training.thread_choice import ThreadChoice
from trainable.training.trainer import Trainer

LEAST_SHARE = 0.75
BUSY = "import numpy as np\na = np.random.rand(200, 200)\nwhile True: a = a / np.abs(a @ a).max()"
ROUNDS = 3


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Keep so many processes computing inside the block."""
    command = ["env", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", sys.executable, "-c", BUSY]
    running = [subprocess.Popen(command) for _ in range(number)]
    time.sleep(2.0)  # until they compute
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def speeds(trainer: Trainer, title: str) -> tuple[float, float, float]:
    """Return utterances a second with one thread, with all, and with the chosen number."""
    choice = ThreadChoice(None, lambda line: print(f"  {line}", flush=True))
    choice.begin(trainer)
    numbers = {"one": 1, "all": available_cores(), "chosen": choice.number}
    found: dict[str, list[float]] = {name: [] for name in numbers}
    for _ in range(ROUNDS):
        for name, number in numbers.items():
            set_compute_threads(number)
            found[name].append(trainer.run_epoch().samples_per_s)
    one, every, chosen = (statistics.median(found[name]) for name in numbers)
    print(
        f"{title}: {one:.1f} utt/s with 1 thread, {every:.1f} with all {numbers['all']} (before), "
        f"{chosen:.1f} with the {choice.number} chosen (now)",
        flush=True,
    )
    return one, every, chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=3 * available_cores())
    parser.add_argument("--config", default="teacher_demo")
    options = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    with tempfile.TemporaryDirectory() as name:
        corpus = write_corpus(
            Path(name) / "corpus", num_train_speakers=8, num_utterances=8, duration_s=2.5
        )
        data = load_training_data(read_corpus_config(corpus), cache_dir=Path(name) / "cache")
        overrides = ["training.batch_size=32", "training.eval_crops=1"]
        config = read_trial_config(options.config, overrides)
        trainer = Trainer(config, data, device=torch.device("cpu"))
        with busy(options.busy):
            one, _, chosen = speeds(trainer, f"beside {options.busy} busy processes")
        alone_one, alone_all, alone = speeds(trainer, "without them")
    finish_all(
        [
            Verdict(name="busy, against one thread", ratio=chosen / one, target=LEAST_SHARE),
            Verdict(
                name="alone, against the better of one and all",
                ratio=alone / max(alone_one, alone_all),
                target=LEAST_SHARE,
            ),
        ]
    )


if __name__ == "__main__":
    # As the command sets it; OpenMP reads it when PyTorch is loaded.
    if os.environ.get("GOMP_SPINCOUNT") != SPIN_COUNT:
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
        again = [sys.executable, "-m", "tests.benchmarks.shared_machine", *sys.argv[1:]]
        os.execv(sys.executable, again)
    main()
