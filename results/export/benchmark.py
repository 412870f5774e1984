"""Speed of models on the CPU of this machine, from waveform to embedding.

All times include the front end, which is also measured by itself, in a row of its own. All models
run in one process, one call per round, in a new random order for each round.

Shapes: B batch, S samples.
"""

import itertools
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from models import LogMel, SpeakerModel, count_parameters
from models.frontend import HOP_SAMPLES, NUM_MELS, SAMPLE_RATE_HZ
from results.analysis.front import kept_first
from results.analysis.ranking import best_ended
from results.analysis.run_view import RunView
from results.export.best_model import load_best
from results.journal.journal import Journal
from results.records.record_values import BenchmarkRow
from results.records.search_records import ModelsBenchmarked
from spaces.files.atomic import write_text_atomically
from trainable.checkpoints.loading import load_speaker_model
from trainable.cost.latency import Call, time_interleaved
from trainable.cost.macs import count_macs
from trainable.machine.cores import available_cores
from trainable.machine.hardware import describe_hardware
from trainable.teachers.any_teacher import is_network

FRONT_END = "front end"
TEACHER_NAME = "teacher"

_Progress = Callable[[int, int], None]
_MS_PER_S = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkConfig:
    """Settings of a benchmark.

    Attributes:
        batch_sizes: Numbers of utterances per call, each measured.
        num_threads: Numbers of threads per call, each measured; one and all cores by default.
        rounds: Timed calls of each model in each setting.
        warmup_rounds: Calls before the timed ones.
        num_frames: Length of an utterance in frames of 10 ms; 200 are the 2 s of a training crop.
        seed: Seed of the input and of the order of models in each round.
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
        """Length of an utterance in samples: with centred frames, T frames span T-1 hops."""
        return (self.num_frames - 1) * HOP_SAMPLES


BENCHMARK_COLUMNS = tuple(BenchmarkRow.model_fields)


def benchmark_models(
    models: Mapping[str, SpeakerModel],
    teacher: str | None = None,
    config: BenchmarkConfig | None = None,
    progress: _Progress | None = None,
) -> list[BenchmarkRow]:
    """Measure models against each other; all must take 80 mel bins.

    Args:
        models: Models by name, in eval mode, on the CPU.
        teacher: Name of the model that the others are compared with.
        config: Settings of the benchmark; the default ones if not given.
        progress: Called after each round with the rounds done and the rounds in all.

    Returns:
        One row per setting and model. Settings (threads, then batch) have the order of the
        config; in each setting the models have their own order, and the front end is last.

    Raises:
        ValueError: No model has the teacher's name, or a model is in training mode.
    """
    config = config or BenchmarkConfig()
    if teacher is not None and teacher not in models:
        raise ValueError(f"teacher must be one of {sorted(models)}, got {teacher!r}")
    training = [name for name, model in models.items() if model.training]
    if training:
        raise ValueError(f"models must be in eval mode, got {training} in training mode")
    before = torch.get_num_threads()  # global to the process, so it is restored below
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
    view: RunView,
    top_k: int = 3,
    config: BenchmarkConfig | None = None,
    progress: _Progress | None = None,
) -> ModelsBenchmarked:
    """Measure the teacher and the best ended trials of a run.

    A teacher that is a graph or a file of embeddings has no network, and is left out. Rows and
    hardware are written to benchmark.json and appended to the journal, so the search must not be
    running.

    Args:
        view: The run.
        top_k: Number of trials, the best first; with several goals those of the front.
        config: Settings of the benchmark; the default ones if not given.
        progress: Called after each round with the rounds done and the rounds in all.

    Returns:
        The `benchmark` record, with the rows of `benchmark_models` by column name.

    Raises:
        RunError: No trial has ended with a VEER.
        CheckpointError: A checkpoint is missing or damaged.
    """
    models, run, teacher = {}, view.folder, view.teacher
    # A graph, too, has no network of Veer's to measure.
    if teacher is not None and is_network(Path(teacher.path)):
        models[TEACHER_NAME] = load_speaker_model(Path(teacher.path)).model
    best_ended(view.histories, top_k)  # refuses a run without any
    ended = [trial for trial in view.histories if trial.ended is not None]
    for trial in itertools.islice(kept_first(ended), top_k):
        models[trial_name(trial.trial)] = load_best(run, trial).model
    reference = TEACHER_NAME if TEACHER_NAME in models else None
    rows = benchmark_models(models, reference, config, progress)
    hardware = describe_hardware()
    outcome = {"hardware": hardware, "rows": [row.as_dict() for row in rows]}
    write_text_atomically(run.benchmark, json.dumps(outcome, indent=2) + "\n")
    # In the journal too: the speed in tables and charts is read from there.
    with Journal(run.journal) as journal:
        return journal.append(ModelsBenchmarked(hardware=hardware, rows=rows))


def trial_name(trial: int) -> str:
    """Return the name of a trial in the benchmark, as in `BenchmarkRow.model`."""
    return f"trial {trial}"


def paired_ratio(reference_s: Sequence[float], own_s: Sequence[float]) -> float:
    """Return how many times faster than the reference a model is.

    The ratio is taken within each round, because other load on the machine slows both times of a
    round down; then the median over the rounds.
    """
    pairs = zip(reference_s, own_s, strict=True)
    return statistics.median(reference / own for reference, own in pairs)


def _round_counter(config: BenchmarkConfig, progress: _Progress | None) -> Callable[[], None]:
    """Return a callback for each round that counts the rounds over all settings."""
    num_settings = len(config.num_threads) * len(config.batch_sizes)
    total = num_settings * (config.rounds + config.warmup_rounds)
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
    # Noise is enough as input, since the time of a call does not depend on the content.
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
                latency_median_ms=_MS_PER_S * median_s,
                latency_p95_ms=_MS_PER_S * float(np.percentile(times, 95)),
                samples_per_s=batch_size / median_s,
                real_time_factor=median_s / audio_s,
                speed_ratio=paired_ratio(reference, times) if reference else None,
            )
        )
    return rows


def _macs(model: SpeakerModel, num_frames: int) -> int:
    return count_macs(model, (1, num_frames, NUM_MELS), method="embed")
