"""Trials that share GPUs: samples per second of 1, 2, 4 and 8 on each, and a search of 16.

`make bench NAME=gpu`, or `python -m tests.benchmarks.gpu`; it needs a GPU and ends with status 2
if there is none. Each trial is a process as a search starts it, limited to its share, on made-up
speech, validation included in its time. All GPUs that the process may use get the same number of
trials. A row is a number of trials; one that fails, as by lack of memory, prints the reason, and
the others go on. There are rows of the 2.66M student and of one of 0.58M, each with steps as usual
and with captured ones (`engine.capture`), and of the 2.66M student under the process-sharing
service (MPS), if its control program exists and starts. The service runs in its own folder and is
always stopped.

Above the rows are two limits of the card: the samples per second that its memory and its matrix
units would allow, from the bytes and products of a step and from the rates of a large copy and a
large product. The search is the demo's with `gpu: auto`, timed from the command to its end, with
corpus and teacher made before. `--counts 1 4 --window 5 --no-search` is a shorter run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.gpu_limits import card_limits
from tests.benchmarks.gpu_sharing import NoSharingServiceError, sharing_service
from tests.benchmarks.gpu_trials import WINDOW_S, Work, samples_per_s
from tests.benchmarks.operators import STUDENTS
from tests.worlds.corpus import write_corpus
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.machine.hardware import available_cores, describe_hardware

NO_GPU_STATUS = 2
COUNTS = (1, 2, 4, 8)
NUM_SEARCH_TRIALS = 16
VEER = [sys.executable, "-c", "from search.cli.entry import main; main()"]
Report = Callable[[str], None]


def table(
    counts: Sequence[int], rate_of: Callable[[int], float], report: Report
) -> dict[int, float]:
    """Measure each number of trials, print a row for each, and return the rates.

    A row that fails prints the last line of its reason; its rate is not in the result.
    """
    rates: dict[int, float] = {}
    report("trials    samples/s  to first")
    for num_trials in counts:
        try:
            rates[num_trials] = rate_of(num_trials)
        except (RuntimeError, OSError) as error:
            reason = (str(error).strip() or repr(error)).splitlines()[-1]
            report(f"{num_trials:6d}       failed  {reason}")
            continue
        ratio = rates[num_trials] / rates[next(iter(rates))]
        report(f"{num_trials:6d} {rates[num_trials]:12.0f} {ratio:9.2f}")
    return rates


def compare(work: Work, counts: Sequence[int], report: Report, num_gpus: int = 1) -> None:
    """Print the rates of a student with steps as usual and with captured ones."""
    for name, engine in (("as usual", {}), ("captured", {"capture": True})):
        report(f"steps {name}")
        arm = replace(work, engine=engine)
        table(counts, lambda num, arm=arm: samples_per_s(num, arm, {}, num_gpus), report)  # type: ignore[misc]


def compare_shared(work: Work, counts: Sequence[int], report: Report, num_gpus: int = 1) -> None:
    """Print the rates of a student under the process-sharing service."""
    try:
        with sharing_service() as environment:
            report("steps as usual, with the process-sharing service (MPS)")
            table(counts, lambda num: samples_per_s(num, work, environment, num_gpus), report)
    except NoSharingServiceError as error:
        report(f"with the process-sharing service (MPS): skipped, {error}")


def time_search(folder: Path, options: Sequence[str], report: Callable[[str], None]) -> float:
    """Return the seconds of a search of the demo on the demo corpus; print its lines on the GPU.

    Raises:
        RuntimeError: A command failed; with its output.
    """
    corpus, teacher = str(folder / "demo" / "corpus.yaml"), str(folder / "teacher")
    search = ["search", "demo", "--corpus", corpus, "--teacher", teacher]
    commands = [
        ["data", "demo", str(folder / "demo")],
        ["teacher", "train", "teacher_demo", "--corpus", corpus, "--out", teacher],
        [*search, "--run", str(folder / "run"), *options],
    ]
    for command in commands:
        started = time.perf_counter()
        run = subprocess.run(
            [*VEER, *command], env=os.environ | {"VEER_CACHE": str(folder / "cache")},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if run.returncode != 0:
            raise RuntimeError(f"veer {' '.join(command)}:\n{run.stdout}")
    elapsed_s = time.perf_counter() - started
    lines = [line for line in run.stdout.splitlines() if "gpu=auto" in line or "at most" in line]
    report("\n".join(lines))
    return elapsed_s


def make_work(folder: Path, model: Mapping[str, int], **options: Any) -> Work:
    """Make a corpus with its log-mels, if there is none, and the config of a student on it."""
    corpus = folder / "corpus" / "corpus.yaml"
    if not corpus.exists():
        corpus = write_corpus(
            folder / "corpus", num_train_speakers=64, num_utterances=16, duration_s=2.2
        )
    cache = folder / "cache"
    load_training_data(read_corpus_config(corpus), cache_dir=cache)
    student = {"model": {"family": "mlp_mixer", **model}, "loss": {"distillation": "none"}}
    return Work(corpus=str(corpus), cache=str(cache), config=student, **options)


def run_rows(folder: Path, counts: Sequence[int], window_s: float, report: Report) -> None:
    """Print the limits of the card and the rows of both students."""
    num_gpus = torch.cuda.device_count()
    for name, model in STUDENTS.items():
        work = make_work(folder, model, window_s=window_s)
        report(f"{name} student, {num_gpus} GPUs")
        try:
            report(card_limits(TrialConfig.model_validate(work.config), torch.device("cuda")))
        except RuntimeError as error:
            report(f"limits of the card: failed, {error}")
        compare(work, counts, report, num_gpus)
        if not model:
            compare_shared(work, counts, report, num_gpus)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="trials on a GPU")
    parser.add_argument("--window", type=float, default=WINDOW_S, help="seconds of a row")
    parser.add_argument("--no-search", action="store_true")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu: not run, PyTorch finds no usable GPU")
        sys.exit(NO_GPU_STATUS)
    hardware = {"gpu": torch.cuda.get_device_name(0)} | describe_hardware()
    print(", ".join(f"{name} {value}" for name, value in hardware.items()))
    most = max(given.counts) * torch.cuda.device_count()
    if available_cores() < most:
        print(f"only {available_cores()} cores: more trials than that share them")
    with tempfile.TemporaryDirectory(prefix="veer-gpu-") as folder:

        def report(text: str) -> None:
            print(text, flush=True)

        run_rows(Path(folder), given.counts, given.window, report)
        if not given.no_search:
            options = [
                "--trials", str(NUM_SEARCH_TRIALS), "--max-concurrent", str(NUM_SEARCH_TRIALS),
                "--gpu", "auto", "--cpu", "1",
            ]  # fmt: skip
            elapsed_s = time_search(Path(folder), options, report)
            print(f"gpu: a search of {NUM_SEARCH_TRIALS} trials took {elapsed_s:.0f} s")


if __name__ == "__main__":
    main()
