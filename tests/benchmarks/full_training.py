"""Full training by one process and by two: utterances a second, and the loop's own share.

`make bench NAME=full-training ARGS='--batch-size 64'`. One process with one
thread, one with two, and two processes (started by torchrun) with one thread each train the same
model on the same batches, in turns within one run. The first epoch of each is not counted.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.report import Verdict, finish_all
from tests.worlds.corpus import write_corpus
from trainable.checkpoints.model_file import read_checkpoint
from trainable.machine.hardware import describe_hardware

LEAST_SPEEDUP, MOST_OVERHEAD = 1.6, 0.1
ROUNDS = 3
ALONE = ("-m", "search.cli")
TOGETHER = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "search.cli")
# (command, threads of each process)
ARMS: Mapping[str, tuple[Sequence[str], int]] = {
    "1 process, 1 thread": (ALONE, 1),
    "1 process, 2 threads": (ALONE, 2),
    "2 processes, 1 thread each": (TOGETHER, 1),
}


def history(arm: str, corpus: Path, out: Path, settings: Sequence[str], epochs: int) -> list:
    """Train and return the reports of its epochs but the first."""
    command, threads = ARMS[arm]
    assigned = [each for setting in settings for each in ("--set", setting)]
    subprocess.run(
        [
            sys.executable, *command, "train", "--preset", "no_distillation", "--corpus",
            str(corpus), "--out", str(out), "--epochs", str(epochs), "--threads", str(threads),
            *assigned,
        ],
        check=True, stdout=subprocess.DEVNULL,
        env=os.environ | {"VEER_CACHE": str(out.parent / "cache")},
    )  # fmt: skip
    state = read_checkpoint(out / "model" / f"model{epochs:09d}.model")
    found: list = state["veer"]["history"]
    return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    settings = [f"training.batch_size={options.batch_size}", "training.eval_crops=1"]
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    speeds: dict[str, list[float]] = {arm: [] for arm in ARMS}
    overheads: dict[str, list[float]] = {arm: [] for arm in ARMS}
    with tempfile.TemporaryDirectory() as name:
        corpus = write_corpus(
            Path(name) / "corpus", num_train_speakers=16, num_utterances=16, duration_s=2.5
        )
        for number in range(ROUNDS):
            for arm in ARMS:
                out = Path(name) / f"{number}-{arm[:3]}-{ARMS[arm][1]}".replace(" ", "")
                epochs = history(arm, corpus, out, settings, options.epochs)
                speeds[arm].append(statistics.median(each["samples_per_s"] for each in epochs))
                overheads[arm].append(statistics.median(each["overhead_share"] for each in epochs))
                print(f"  {arm}: {speeds[arm][-1]:.1f} utt/s, overhead {overheads[arm][-1]:.1%}")
    one, _, two = (statistics.median(speeds[arm]) for arm in ARMS)
    for arm in ARMS:
        print(
            f"{arm}: {statistics.median(speeds[arm]):.1f} utt/s ({min(speeds[arm]):.1f} to "
            f"{max(speeds[arm]):.1f}), overhead {statistics.median(overheads[arm]):.1%}"
        )
    overhead = statistics.median(overheads["2 processes, 1 thread each"])
    finish_all(
        [
            Verdict(name="2 processes against 1", ratio=two / one, target=LEAST_SPEEDUP),
            Verdict(
                name="time in steps of 2 processes", ratio=1 - overhead, target=1 - MOST_OVERHEAD
            ),
        ]
    )


if __name__ == "__main__":
    main()
