"""Speed of models on the CPU of this machine, from waveform to embedding.

All times include the front end, which is also measured by itself, in a row of its own. All models
run in one process, one call per round, in a new random order for each round. Calls that waited
for a CPU are timed again, up to a limit, and count only where there is no other.

Shapes: B batch, S samples.
"""

import itertools
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from models import LogMel, SpeakerModel, count_parameters
from models.frontend import HOP_SAMPLES, NUM_MELS, SAMPLE_RATE_HZ
from results.analysis.run_view import RunView
from results.export.measured import TEACHER_NAME, measured_models
from results.journal.journal import Journal
from results.records.benchmark_row import BenchmarkRow
from results.records.search_records import ModelsBenchmarked
from spaces.files.atomic import write_text_atomically
from trainable.checkpoints.loading import LoadedModel
from trainable.cost.macs import count_macs
from trainable.cost.quiet_rounds import (
    MOST_WAITING,
    RoundPlan,
    TimedRounds,
    machine_load,
    ratio_interval,
    time_quiet_rounds,
)
from trainable.cost.timing import Call
from trainable.machine.cores import available_cores
from trainable.machine.hardware import describe_hardware

FRONT_END = "front end"

_Progress = Callable[[int, int], None]
_MoreColumns = Callable[
    [RunView, Mapping[str, LoadedModel]], Mapping[str, Mapping[str, float | None]]
]
# Rounds in which both were undisturbed, below which a ratio means nothing.
MIN_PAIRS = 6
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
        limit_s: Seconds a setting may take where calls are disturbed.
        most_waiting: Share of a call's time that it may have waited for a CPU.
    """

    batch_sizes: tuple[int, ...] = (1, 8)
    num_threads: tuple[int, ...] = field(
        default_factory=lambda: tuple(dict.fromkeys((1, available_cores())))
    )
    rounds: int = 30
    warmup_rounds: int = 3
    num_frames: int = 200
    seed: int = 0
    limit_s: float = 20.0
    most_waiting: float = MOST_WAITING

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
                timed = _measure(models, (num_threads, batch_size), config, on_round)
                rows += _rows(timed, models, teacher, config, (num_threads, batch_size))
    finally:
        torch.set_num_threads(before)
    return rows


def benchmark_run(
    view: RunView,
    top_k: int = 3,
    config: BenchmarkConfig | None = None,
    progress: _Progress | None = None,
    more: _MoreColumns | None = None,
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
        more: Returns further columns of models by name; called after the rounds.

    Returns:
        The `benchmark` record, with the rows of `benchmark_models` by column name.

    Raises:
        RunError: No trial has ended with a VEER.
        CheckpointError: A checkpoint is missing or damaged.
    """
    loaded = measured_models(view, top_k)
    models = {name: each.model for name, each in loaded.items()}
    run = view.folder
    reference = TEACHER_NAME if TEACHER_NAME in models else None
    hardware = describe_hardware() | {"load_at_start": machine_load()}
    rows = benchmark_models(models, reference, config, progress)
    if more is not None:
        columns = more(view, loaded)
        rows = [row.model_copy(update=columns.get(row.model, {})) for row in rows]
    outcome = {"hardware": hardware, "rows": [row.recorded() for row in rows]}
    write_text_atomically(run.benchmark, json.dumps(outcome, indent=2) + "\n")
    # In the journal too: the speed in tables and charts is read from there.
    with Journal(run.journal) as journal:
        return journal.append(ModelsBenchmarked(hardware=hardware, rows=rows))


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
    setting: tuple[int, int],
    config: BenchmarkConfig,
    on_round: Callable[[], None],
) -> TimedRounds:
    # Noise is enough as input, since the time of a call does not depend on the content.
    generator = torch.Generator().manual_seed(config.seed)
    num_threads, batch_size = setting
    wave_BS = 0.1 * torch.randn(batch_size, config.num_samples, generator=generator)
    front_end = LogMel(NUM_MELS)

    def embedding(model: SpeakerModel) -> Call:
        return lambda: model.embed(front_end(wave_BS))

    calls: dict[str, Call] = {name: embedding(model) for name, model in models.items()}
    calls[FRONT_END] = lambda: front_end(wave_BS)
    with torch.inference_mode():
        return time_quiet_rounds(calls, round_plan(config, num_threads), on_round)


def round_plan(config: BenchmarkConfig, num_threads: int) -> RoundPlan:
    """Return how the calls of a setting are timed."""
    return RoundPlan(
        rounds=config.rounds,
        warmup_rounds=config.warmup_rounds,
        limit_s=config.limit_s,
        most_waiting=config.most_waiting,
        num_threads=num_threads,
        seed=config.seed,
    )


def paired_figures(timed: TimedRounds, reference: str | None, own: str) -> dict[str, Any]:
    """Return the ratio of a row with its interval, and how many calls were undisturbed.

    There is no ratio of fewer than `MIN_PAIRS` rounds in which both were undisturbed.
    """
    figures: dict[str, Any] = {
        "speed_ratio": None,
        "num_quiet": len(timed.quiet_s(own)),
        "num_timed": timed.num_rounds(own),
    }
    if reference is None:
        return figures
    pairs = timed.pairs(reference, own)
    if len(pairs) < min(MIN_PAIRS, timed.num_rounds(own)):
        return figures
    interval = ratio_interval([a / b for a, b in pairs]) or (None, None)
    figures["speed_ratio"] = paired_ratio(*zip(*pairs, strict=True))
    figures["speed_ratio_low"], figures["speed_ratio_high"] = interval
    return figures


def _rows(
    timed: TimedRounds,
    models: Mapping[str, SpeakerModel],
    teacher: str | None,
    config: BenchmarkConfig,
    setting: tuple[int, int],
) -> list[BenchmarkRow]:
    num_threads, batch_size = setting
    audio_s = batch_size * config.num_samples / SAMPLE_RATE_HZ
    rows = []
    for name in timed.calls:
        times = timed.usual_s(name)
        median_s = statistics.median(times)
        rows.append(
            BenchmarkRow(
                model=name,
                num_params=count_parameters(models[name]) if name in models else 0,
                macs=model_macs(models[name], config.num_frames) if name in models else 0,
                batch_size=batch_size,
                num_threads=num_threads,
                latency_median_ms=_MS_PER_S * median_s,
                latency_p95_ms=_MS_PER_S * float(np.percentile(times, 95)),
                samples_per_s=batch_size / median_s,
                real_time_factor=median_s / audio_s,
                **paired_figures(timed, teacher if name in models else None, name),
            )
        )
    return rows


def model_macs(model: SpeakerModel, num_frames: int) -> int:
    """Return the multiply-accumulates of an utterance, without the front end."""
    return count_macs(model, (1, num_frames, NUM_MELS), method="embed")
