"""Speed of models on this machine's CPU.

From waveform to embedding: the front end is part of every figure, and is also measured alone as a
row of its own. All models run in one process, one call each a round, in an order drawn anew for
each round.

Shapes: B batch, S samples.
"""

import itertools
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models import LogMel, SpeakerModel, count_parameters
from models.frontend import HOP_SAMPLES, NUM_MELS, SAMPLE_RATE_HZ
from results.analysis.ranking import best_ended
from results.export.best_model import load_best
from results.journal.history import latest, trial_histories
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from spaces.files.atomic import write_text_atomically
from trainable.checkpoints.loading import load_speaker_model
from trainable.cost.latency import Call, time_interleaved
from trainable.cost.macs import count_macs
from trainable.machine.hardware import available_cores, describe_hardware
from trainable.teachers.any_teacher import is_stored

Progress = Callable[[int, int], None]

FRONT_END = "front end"
TEACHER = "teacher"
MS_PER_S = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkConfig:
    """How to measure.

    Attributes:
        batch_sizes: Utterances a call.
        num_threads: Threads a call; one, and all cores.
        rounds: Timed calls of each model in each setting.
        warmup_rounds: Calls before them that are not timed.
        num_frames: Length of an utterance, 10 ms each.
        seed: Of the input and of the order in the rounds.
    """

    batch_sizes: tuple[int, ...] = (1, 8)
    num_threads: tuple[int, ...] = field(
        default_factory=lambda: tuple(dict.fromkeys((1, available_cores())))
    )
    rounds: int = 30
    warmup_rounds: int = 3
    num_frames: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_sizes", "num_threads"):
            values = getattr(self, name)
            if min(values, default=0) < 1:
                raise ValueError(f"{name} must be numbers of at least 1, got {values}")
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {self.rounds}")

    @property
    def num_samples(self) -> int:
        """Samples of an utterance: with centred frames T frames span T-1 hops."""
        return (self.num_frames - 1) * HOP_SAMPLES


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRow:
    """One model in one setting.

    Attributes:
        model: Its name.
        num_params: Parameters of the network.
        macs: Multiply-accumulates for one utterance, without the front end; see `macs`.
        batch_size: Utterances a call.
        num_threads: Threads a call.
        latency_median_ms: Time of a call.
        latency_p95_ms: Time that 95 % of the calls stay within.
        samples_per_s: Utterances a second, by the median.
        real_time_factor: Computing time over the time of the audio, by the median; below 1 is
            faster than the audio.
        speed_ratio: Median over the rounds of the teacher's time over this model's in the same
            round; above 1 is faster than the teacher. None without a teacher.
    """

    model: str
    num_params: int
    macs: int
    batch_size: int
    num_threads: int
    latency_median_ms: float
    latency_p95_ms: float
    samples_per_s: float
    real_time_factor: float
    speed_ratio: float | None

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


BENCHMARK_COLUMNS = tuple(column.name for column in fields(BenchmarkRow))


def benchmark_models(
    models: Mapping[str, SpeakerModel],
    teacher: str | None = None,
    config: BenchmarkConfig | None = None,
    progress: Progress | None = None,
) -> list[BenchmarkRow]:
    """Measures models against each other; all take 80 mel bins.

    Args:
        models: By name, in eval mode, on the CPU.
        teacher: Name of the one that the others are compared with.
        config: How to measure.
        progress: Told (rounds done, rounds in all).

    Returns:
        A row a model and setting: settings (threads, then batch) in the order of the config, in
        each the models in theirs, then the front end alone.

    Raises:
        ValueError: There is no model of the teacher's name, or a model is in training mode.
    """
    config = config or BenchmarkConfig()
    if teacher is not None and teacher not in models:
        raise ValueError(f"teacher must be one of {sorted(models)}, got {teacher!r}")
    training = [name for name, model in models.items() if model.training]
    if training:
        raise ValueError(f"models must be in eval mode, got {training} in training mode")
    before = torch.get_num_threads()
    rows: list[BenchmarkRow] = []
    on_round = _round_counter(config, progress)
    try:
        for num_threads in config.num_threads:
            torch.set_num_threads(num_threads)
            for batch_size in config.batch_sizes:
                seconds = _measure(models, batch_size, config, on_round)
                rows += _rows(seconds, models, teacher, config, (num_threads, batch_size))
    finally:
        torch.set_num_threads(before)
    return rows


def benchmark_run(
    run: RunFolder,
    top_k: int = 3,
    config: BenchmarkConfig | None = None,
    progress: Progress | None = None,
) -> list[BenchmarkRow]:
    """Measures the teacher, if the run had one with a network, and the best ended trials.

    The outcome goes to benchmark.json and, with the hardware, into the journal; so the run's
    search must not be running.

    Raises:
        RunError: No trial has ended with a VEER.
        CheckpointError: A checkpoint is missing or damaged.
    """
    records = run.read()
    models = {}
    teacher = latest(records, "teacher")
    if teacher is not None and not is_stored(Path(teacher["path"])):
        models[TEACHER] = load_speaker_model(Path(teacher["path"])).model
    for trial in best_ended(trial_histories(records), top_k):
        models[trial_name(trial.trial)] = load_best(run, trial).model
    rows = benchmark_models(models, TEACHER if TEACHER in models else None, config, progress)
    outcome = {"hardware": describe_hardware(), "rows": [row.as_dict() for row in rows]}
    write_text_atomically(run.benchmark, json.dumps(outcome, indent=2) + "\n")
    with Journal(run.journal) as journal:
        journal.append("benchmark", **outcome)
    return rows


def trial_name(trial: int) -> str:
    """How a trial is called among benchmarked models."""
    return f"trial {trial}"


def paired_ratio(reference_s: Sequence[float], own_s: Sequence[float]) -> float:
    """How many times faster than the reference: the median over the rounds."""
    pairs = zip(reference_s, own_s, strict=True)
    return statistics.median(reference / own for reference, own in pairs)


def _round_counter(config: BenchmarkConfig, progress: Progress | None) -> Callable[[], None]:
    """Counts the rounds of all settings."""
    settings = len(config.num_threads) * len(config.batch_sizes)
    total = settings * (config.rounds + config.warmup_rounds)
    done = itertools.count(1)

    def on_round() -> None:
        if progress:
            progress(next(done), total)

    return on_round


def _measure(
    models: Mapping[str, SpeakerModel],
    batch_size: int,
    config: BenchmarkConfig,
    on_round: Callable[[], None],
) -> dict[str, list[float]]:
    generator = torch.Generator().manual_seed(config.seed)
    wave_BS = 0.1 * torch.randn(batch_size, config.num_samples, generator=generator)
    front_end = LogMel(NUM_MELS)

    def embedding(model: SpeakerModel) -> Call:
        return lambda: model.embed(front_end(wave_BS))

    calls: dict[str, Call] = {name: embedding(model) for name, model in models.items()}
    calls[FRONT_END] = lambda: front_end(wave_BS)
    with torch.inference_mode():
        return time_interleaved(
            calls,
            rounds=config.rounds,
            warmup_rounds=config.warmup_rounds,
            seed=config.seed,
            on_round=on_round,
        )


def _rows(
    seconds: Mapping[str, Sequence[float]],
    models: Mapping[str, SpeakerModel],
    teacher: str | None,
    config: BenchmarkConfig,
    setting: tuple[int, int],
) -> list[BenchmarkRow]:
    num_threads, batch_size = setting
    audio_s = batch_size * config.num_samples / SAMPLE_RATE_HZ
    rows = []
    for name, times in seconds.items():
        median_s = statistics.median(times)
        reference = None if teacher is None or name not in models else seconds[teacher]
        rows.append(
            BenchmarkRow(
                model=name,
                num_params=count_parameters(models[name]) if name in models else 0,
                macs=_macs(models[name], config.num_frames) if name in models else 0,
                batch_size=batch_size,
                num_threads=num_threads,
                latency_median_ms=MS_PER_S * median_s,
                latency_p95_ms=MS_PER_S * float(np.percentile(times, 95)),
                samples_per_s=batch_size / median_s,
                real_time_factor=median_s / audio_s,
                speed_ratio=paired_ratio(reference, times) if reference else None,
            )
        )
    return rows


def _macs(model: SpeakerModel, num_frames: int) -> int:
    return count_macs(model, (1, num_frames, NUM_MELS), method="embed")
