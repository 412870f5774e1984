"""Trials that share one GPU: samples per second of 1, 2, 4 and 8 at once, and a search of 16.

`make bench NAME=gpu`, or `python -m tests.benchmarks.gpu`; it needs a GPU and ends with status 2
if there is none. Each trial is a process as a search starts it, limited to its share: the 2.66M
student on made-up speech, validation included in its time. All numbers of trials are measured
again under the process-sharing service (MPS), if its control program exists and starts. The
service runs in its own folder and is always stopped. The search is the demo's with `gpu: auto`,
timed from the command to its end, with corpus and teacher made before.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from search.loop.shares import USUAL_CONTEXT_BYTES
from tests.worlds.corpus import write_corpus
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.machine.cores import available_cores
from trainable.machine.hardware import describe_hardware
from trainable.training.ray_trial import TrialTask, build_trainer

NO_GPU_STATUS = 2
COUNTS = (1, 2, 4, 8)
WINDOW_S = 20.0
NUM_SEARCH_TRIALS = 16
MPS = "nvidia-cuda-mps-control"
MPS_TIMEOUT_S = 30.0
VEER = [sys.executable, "-c", "from search.cli.entry import main; main()"]
STUDENT = {"loss": {"distillation": "none"}}


class NoSharingServiceError(Exception):
    """The process-sharing service cannot be used; the message has the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What each trial does.

    Attributes:
        corpus: Its `corpus.yaml`.
        cache: Folder of its log-mels.
        config: The trial's config, as a tree.
        device: `cuda`, or `cpu` to try the benchmark itself.
        window_s: How long it trains once all trials are ready, seconds.
    """

    corpus: str
    cache: str
    config: dict[str, Any]
    device: str = "cuda"
    window_s: float = WINDOW_S


def run_trial(work: Work, share: float) -> None:
    """Run a trial process: print `ready` after an epoch, await a line, train, print its rate."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(
            TrialTask(
                trial=0,
                config=TrialConfig.model_validate(work.config).canonical(),
                folder=Path(folder),
                corpus=read_corpus_config(Path(work.corpus)),
                cache_dir=Path(work.cache),
                teacher=None,
                device=work.device,
                num_threads=1,
                num_gpus=share,
                context_bytes=USUAL_CONTEXT_BYTES,
            )
        )
    trainer.run_epoch()
    print("ready", flush=True)
    sys.stdin.readline()
    started, num_epochs = time.perf_counter(), 0
    while time.perf_counter() - started < work.window_s:
        trainer.run_epoch()
        num_epochs += 1
    batch_size = trainer.config.training.batch_size
    num_samples = num_epochs * (len(trainer.data.train_row) // batch_size * batch_size)
    print(num_samples / (time.perf_counter() - started), flush=True)


def samples_per_s(num_trials: int, work: Work, environment: Mapping[str, str]) -> float:
    """Return the total samples per second of so many trials at once.

    Raises:
        RuntimeError: A trial failed; with its output.
    """
    command = [sys.executable, "-m", "tests.benchmarks.gpu", "--trial", json.dumps(asdict(work))]
    with ExitStack() as running:
        trials = []
        for _ in range(num_trials):
            trial = subprocess.Popen(
                [*command, "--share", str(1 / num_trials)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, env=os.environ | dict(environment),
            )  # fmt: skip
            running.enter_context(trial)
            running.callback(trial.kill)
            trials.append(trial)
        for trial in trials:
            assert trial.stdout is not None
            if trial.stdout.readline() != "ready\n":
                raise RuntimeError(trial.communicate()[1].strip() or "a trial ended early")
        for trial in trials:
            assert trial.stdin is not None
            trial.stdin.write("go\n")
            trial.stdin.flush()
        return sum(float(trial.communicate()[0]) for trial in trials)


@contextmanager
def sharing_service() -> Iterator[dict[str, str]]:
    """Start MPS in its own folder and stop it at the end; yield the environment that uses it.

    Raises:
        NoSharingServiceError: It is not installed, or does not start.
    """
    if shutil.which(MPS) is None:
        raise NoSharingServiceError(f"{MPS} is not installed")
    with tempfile.TemporaryDirectory(prefix="veer-mps-") as folder:
        own = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}

        def control(*arguments: str, commands: str = "") -> subprocess.CompletedProcess[str]:
            # Files, since the daemon keeps its standard streams and a pipe would never end.
            with (Path(folder) / "output").open("w+") as output:
                run = subprocess.run(
                    [MPS, *arguments], input=commands, text=True, check=False, stdout=output,
                    stderr=subprocess.STDOUT, env=os.environ | own, timeout=MPS_TIMEOUT_S,
                )  # fmt: skip
                output.seek(0)
                return subprocess.CompletedProcess(run.args, run.returncode, output.read())

        try:
            started = control("-d")
            if started.returncode != 0:
                why = started.stdout.strip() or f"status {started.returncode}"
                raise NoSharingServiceError(f"{MPS} does not start: {why}")
            yield own
        finally:
            control(commands="quit\n")


def table(
    counts: Sequence[int], rate_of: Callable[[int], float], report: Callable[[str], None]
) -> dict[int, float]:
    """Measure each number of trials, print a row for each, and return the rates."""
    rates: dict[int, float] = {}
    for num_trials in counts:
        rates[num_trials] = rate_of(num_trials)
        ratio = rates[num_trials] / rates[counts[0]]
        report(f"{num_trials:6d} {rates[num_trials]:12.0f} {ratio:9.2f}")
    return rates


def compare(work: Work, counts: Sequence[int], report: Callable[[str], None]) -> None:
    """Print the rates without and with the process-sharing service."""
    report("without the process-sharing service\ntrials    samples/s  to first")
    table(counts, lambda num: samples_per_s(num, work, {}), report)
    try:
        with sharing_service() as environment:
            report("with the process-sharing service (MPS)\ntrials    samples/s  to first")
            table(counts, lambda num: samples_per_s(num, work, environment), report)
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


def make_work(folder: Path, **options: Any) -> Work:
    """Make a corpus with its log-mels computed, and the config of the 2.66M student on it."""
    corpus = write_corpus(
        folder / "corpus", num_train_speakers=64, num_utterances=16, duration_s=2.2
    )
    cache = folder / "cache"
    load_training_data(read_corpus_config(corpus), cache_dir=cache)
    return Work(corpus=str(corpus), cache=str(cache), config=STUDENT, **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trial", help=argparse.SUPPRESS)
    parser.add_argument("--share", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.trial:
        run_trial(Work(**json.loads(given.trial)), given.share)
        return
    if not torch.cuda.is_available():
        print("gpu: not run, PyTorch finds no usable GPU")
        sys.exit(NO_GPU_STATUS)
    hardware = {"gpu": torch.cuda.get_device_name(0)} | describe_hardware()
    print(", ".join(f"{name} {value}" for name, value in hardware.items()))
    if available_cores() < max(COUNTS):
        print(f"only {available_cores()} cores: more trials than that share them")
    with tempfile.TemporaryDirectory(prefix="veer-gpu-") as folder:
        compare(make_work(Path(folder)), COUNTS, lambda text: print(text, flush=True))
        options = [
            "--trials", str(NUM_SEARCH_TRIALS), "--max-concurrent", str(NUM_SEARCH_TRIALS),
            "--gpu", "auto", "--cpu", "1",
        ]  # fmt: skip
        elapsed_s = time_search(Path(folder), options, print)
        print(f"gpu: a search of {NUM_SEARCH_TRIALS} trials took {elapsed_s:.0f} s")


if __name__ == "__main__":
    main()
