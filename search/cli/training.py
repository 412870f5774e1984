"""The training that `veer train` and `veer teacher train` start, and the table of its metrics."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from search.cli.console import (
    computing_device,
    console,
    progress_bar,
    table_of,
    training_bar,
)

if TYPE_CHECKING:
    import torch
    from rich.console import RenderableType

    from search.cli.console import TrainingBar
    from search.full_training.plan import Workers
    from trainable.config.trial_config import TrainRunConfig, TrialConfig
    from trainable.corpus.corpus import CorpusConfig
    from trainable.features.crop_bank import TargetsConfig
    from trainable.features.training_data import TrainingData
    from trainable.machine.engine import EngineConfig
    from trainable.machine.ranks import Ranks
    from trainable.training.full import TrainResult
    from trainable.verification.evaluation import EvaluationResult


def run_and_show(
    *,
    corpus: Path | CorpusConfig,
    teacher: Path | None,
    trial: TrialConfig,
    out: Path,
    device: str,
    workers: Workers,
    teacher_sha256: str | None = None,
    targets: TargetsConfig | None = None,
    init_from: Path | None = None,
    engine: EngineConfig | None = None,
) -> TrainResult:
    """Start or continue a training with a progress bar, then print the results."""
    from results.journal.run_folder import JOURNAL
    from spaces.files.disk import require_writable
    from spaces.files.errors import RunError
    from spaces.files.yaml_file import load_mapping
    from trainable.checkpoints.user_models import check_user_model
    from trainable.config.trial_config import TrainRunConfig
    from trainable.corpus.corpus import CorpusConfig, read_corpus_config
    from trainable.features.crop_bank import TargetsConfig
    from trainable.machine.engine import DEFAULT_ENGINE
    from trainable.machine.ranks import joined_by_torchrun
    from trainable.training.start import read_start

    check_user_model(trial.model)
    require_writable(out)
    if (out / JOURNAL).exists():
        raise RunError(
            f"--out must be a folder of the training's own, got {out}, the run folder of a search"
        )
    if teacher is not None and trial.loss.distill_weight > 0:
        _check_teacher(teacher, trial)  # before the corpus is read, which may take long
    if init_from is not None:
        read_start(init_from, trial.model)
    corpus_config = corpus if isinstance(corpus, CorpusConfig) else read_corpus_config(corpus)
    files = {"teacher": teacher, "teacher_sha256": teacher_sha256, "init_from": init_from}
    how = {"targets": targets or TargetsConfig(), "engine": engine or DEFAULT_ENGINE}
    config = load_mapping(
        TrainRunConfig, {"corpus": corpus_config, **files, "trial": trial, **how}, "command line"
    )
    # Before the log-mels are computed: a GPU that cannot be used is known at once.
    computing = None if workers.number > 1 else computing_device(device)
    use_gpu = computing is not None and computing.type == "cuda"
    try:
        with joined_by_torchrun(use_gpu=use_gpu) as ranks:
            console.quiet = not ranks.is_first
            result = _train(config, out, computing, workers, ranks)
    except KeyboardInterrupt:
        # As it is typed: the first word is a path, that of a module with `python -m`.
        command = shlex.join(["veer", *sys.argv[1:]])
        console.print(f"stopped; continue with the same command: {command}", soft_wrap=True)
        raise SystemExit(130) from None
    _print_result(result, out)
    return result


def _train(
    config: TrainRunConfig,
    out: Path,
    computing: torch.device | None,
    workers: Workers,
    ranks: Ranks,
) -> TrainResult:
    """Open the corpus and train, here or on several workers."""
    from trainable.features.training_data import load_training_data
    from trainable.machine.cache_dir import cache_dir

    with ranks.first_before_others(), progress_bar("log-mels") as progress:
        data = load_training_data(config.corpus, cache_dir=cache_dir(), progress=progress)
    trial = config.trial
    console.print(
        f"{trial.model.family}: {len(data.train_row)} utterances, {data.num_speakers} speakers, "
        f"{len(data.val_is_target)} validation pairs, {trial.training.max_epochs} epochs"
        f"{', averaged weights are evaluated' if trial.training.is_averaged else ''}"
        f"{f', {workers.number} workers' if workers.number > 1 else ''}",
        soft_wrap=True,
    )
    with training_bar(str(out), trial.training.max_epochs) as bar:
        if computing is None:
            from search.full_training.workers import run_on_workers

            return run_on_workers(config, data, out, workers, bar)
        return _train_here(config, data, out, computing, workers.num_threads, bar, ranks)


def _train_here(
    config: TrainRunConfig,
    data: TrainingData,
    out: Path,
    computing: torch.device,
    num_threads: int | None,
    bar: TrainingBar,
    ranks: Ranks,
) -> TrainResult:
    """Train in this process, which may be one of torchrun's."""
    from trainable.machine.cores import available_cores
    from trainable.machine.memory_share import set_compute_threads
    from trainable.machine.ranks import processes_here
    from trainable.training.full import run_training
    from trainable.training.thread_choice import ThreadChoice

    chosen = None
    if not ranks.is_alone:
        set_compute_threads(num_threads or max(1, available_cores() // processes_here()))
    elif computing.type != "cuda":
        chosen = ThreadChoice(num_threads, bar.print_line)
    watcher = bar if ranks.is_first else None
    return run_training(config, data, out, device=computing, watcher=watcher, threads=chosen)


def _check_teacher(teacher: Path, trial: TrialConfig) -> None:
    """Refuse a teacher that does not fit the trial, as far as its file shows."""
    from trainable.checkpoints.user_models import check_user_teacher
    from trainable.loss.teacher_output import require_fit
    from trainable.teachers.any_teacher import facts_of_file, find_teacher

    file = find_teacher(teacher)
    check_user_teacher(file)
    require_fit(
        trial.loss,
        facts_of_file(file),
        embedding_dim=trial.model.embedding_dim,
        crop_frames=trial.training.crop_frames,
        speakers=None,
    )


def evaluation_table(result: EvaluationResult, title: str) -> RenderableType:
    """Return a table of the metrics under both protocols."""
    headings = (
        "protocol", "EER %", "EER %, as\nvoxceleb_\ntrainer", "minDCF\np=0.01", "minDCF\np=0.05",
    )  # fmt: skip
    rows = [
        (
            protocol,
            f"{metrics.eer_pct:.2f}",
            f"{metrics.eer_pct_voxceleb_trainer:.2f}",
            f"{metrics.min_dcf_p01:.4f}",
            f"{metrics.min_dcf_p05:.4f}",
        )
        for protocol, metrics in (
            ("cosine of mean embeddings", result.cosine),
            ("voxceleb_trainer", result.voxceleb_trainer),
        )
    ]
    return table_of(headings, rows, title=title)


def _print_result(result: TrainResult, out: Path) -> None:
    if result.resumed_from == result.last.epoch:
        console.print(f"reusing {out}: it is already trained ({result.last.epoch} epochs)")
    elif result.resumed_from:
        console.print(f"continued from epoch {result.resumed_from}")
    console.print(
        f"best VEER {result.best.veer_pct:.2f} % in epoch {result.best.epoch}, "
        f"last {result.last.veer_pct:.2f} %, {result.num_params:,} parameters, {result.best_file}"
    )
    console.print(evaluation_table(result.final, "validation list, best epoch"))
