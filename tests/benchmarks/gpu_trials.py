"""The trials of the benchmark `gpu`: processes as a search starts them, each with its share."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from search.loop.shares import USUAL_CONTEXT_BYTES
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.machine.engine import EngineConfig
from trainable.training.ray_trial import build_trainer
from trainable.training.trial_task import TrialTask

WINDOW_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What each trial does.

    Attributes:
        corpus: Its `corpus.yaml`.
        cache: Folder of its log-mels.
        config: The trial's config, as a tree.
        device: `cuda`, or `cpu` to try the benchmark itself.
        engine: Settings of `EngineConfig` that are not the defaults.
        window_s: How long it trains once all trials are ready, seconds.
    """

    corpus: str
    cache: str
    config: dict[str, Any]
    device: str = "cuda"
    engine: dict[str, Any] = field(default_factory=dict)
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
                engine=EngineConfig.model_validate(work.engine),
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


def samples_per_s(
    num_trials: int, work: Work, environment: Mapping[str, str], num_gpus: int = 1
) -> float:
    """Return the total samples per second of so many trials at once on each of several GPUs.

    Raises:
        RuntimeError: A trial failed; with its output.
    """
    with ExitStack() as running:
        trials = []
        for number in range(num_trials * num_gpus):
            visible = environment | {"CUDA_VISIBLE_DEVICES": visible_gpu(number % num_gpus)}
            trial = start_trial(work, 1 / num_trials, visible)
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
        return sum(_rate(trial) for trial in trials)


def start_trial(work: Work, share: float, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start the process of a trial that has this share of a GPU."""
    command = [sys.executable, "-m", "tests.benchmarks.gpu_trials", json.dumps(asdict(work))]
    return subprocess.Popen(
        [*command, str(share)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=os.environ | environment,
    )  # fmt: skip


def visible_gpu(number: int) -> str:
    """Return the name of one of the GPUs that this process may use."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return str(number) if allowed is None else allowed.split(",")[number]


def _rate(trial: subprocess.Popen[str]) -> float:
    printed, errors = trial.communicate()
    try:
        return float(printed)
    except ValueError:
        raise RuntimeError(errors.strip() or "a trial ended early") from None


if __name__ == "__main__":
    run_trial(Work(**json.loads(sys.argv[1])), float(sys.argv[2]))
