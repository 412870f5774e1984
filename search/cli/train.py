"""`veer train`, and the training and the tables that it shares with other commands."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from search.cli.console import (
    computing_device,
    console,
    progress_bar,
    table_of,
    training_bar,
)
from search.cli.options import (
    AllowCodeOption,
    DeviceOption,
    RunSetOption,
    SeedOption,
    ThreadsOption,
    permit,
)
from spaces.files.errors import ConfigError

if TYPE_CHECKING:
    from trainable.config.trial_config import TrainRunConfig, TrialConfig
    from trainable.corpus.corpus import CorpusConfig
    from trainable.features.crop_bank import TargetsConfig
    from trainable.machine.engine import EngineConfig
    from trainable.training.full import TrainResult
    from trainable.verification.evaluation import EvaluationResult


def train(
    config: Annotated[
        Path | None,
        typer.Argument(
            help="YAML file of a training run, written by `veer export`; or give --preset.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A preset; `veer presets` lists them."),
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="With --preset: corpus.yaml. A CONFIG has its own.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="With a --preset that distils: a model file, or a training run's folder."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder.", show_default="runs/train, or runs/PRESET"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs to train, instead of those in the config.")
    ] = None,
    overrides: RunSetOption = None,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    code: AllowCodeOption = False,
) -> None:
    """Train one model: a preset, a config, or the full training of a search's best student.

    Give CONFIG, or --preset with --corpus. The command writes OUT/model/model%09d.model (best and
    last epoch), TensorBoard scalars and OUT/result/scores.txt in voxceleb_trainer's format. A
    folder with a checkpoint of the same config is continued; more --epochs train it further.
    """
    permit(code)
    assignments = list(overrides or ())
    if epochs is not None:
        assignments.append(f"training.max_epochs={epochs}")
    if seed is not None:
        assignments.append(f"seed={seed}")
    run = _training_run(config, preset, corpus, teacher, assignments)
    run_and_show(
        corpus=run.corpus,
        teacher=run.teacher,
        teacher_sha256=run.teacher_sha256,
        targets=run.targets,
        init_from=run.init_from,
        trial=run.trial,
        engine=run.engine,
        out=out or Path("runs") / (preset or "train"),
        device=device,
        threads=threads,
    )


def _training_run(
    config: Path | None,
    preset: str | None,
    corpus: Path | None,
    teacher: Path | None,
    assignments: Sequence[str],
) -> TrainRunConfig:
    """Return the run for these arguments; settings of the trial may omit `trial.`."""
    from trainable.config.reading import read_preset_run
    from trainable.config.trial_config import read_train_config

    if (config is None) == (preset is None):
        given = "neither" if config is None else f"{config} and --preset {preset}"
        raise ConfigError(
            f"give either CONFIG or --preset NAME (`veer presets` lists them), got {given}"
        )
    if config is not None:
        if corpus is not None or teacher is not None:
            raise ConfigError(
                f"--corpus and --teacher need --preset; {config} has its own, which --set "
                "teacher=PATH overrides"
            )
        return read_train_config(config, [_run_key(each) for each in assignments])
    if preset is None or corpus is None:
        raise ConfigError(
            f"--preset {preset} needs --corpus, a corpus.yaml written by `veer data prepare`"
        )
    # A preset is a trial's config itself; in a file of `veer export` it lies under `trial`.
    own = [each.removeprefix("trial.") for each in assignments]
    return read_preset_run(preset, corpus, teacher, own)


def _run_key(assignment: str) -> str:
    from trainable.config.trial_config import TrialConfig

    first = assignment.partition("=")[0].partition(".")[0]
    return f"trial.{assignment}" if first in TrialConfig.model_fields else assignment


def run_and_show(
    *,
    corpus: Path | CorpusConfig,
    teacher: Path | None,
    trial: TrialConfig,
    out: Path,
    device: str,
    threads: int | None = None,
    teacher_sha256: str | None = None,
    targets: TargetsConfig | None = None,
    init_from: Path | None = None,
    engine: EngineConfig | None = None,
) -> TrainResult:
    """Start or continue a training with a progress bar, then print the results."""
    from spaces.files.disk import require_writable
    from spaces.files.yaml_file import load_mapping
    from trainable.checkpoints.user_models import check_user_model
    from trainable.config.trial_config import TrainRunConfig
    from trainable.corpus.corpus import CorpusConfig, read_corpus_config
    from trainable.features.crop_bank import TargetsConfig
    from trainable.features.training_data import load_training_data
    from trainable.machine.cache_dir import cache_dir
    from trainable.machine.engine import DEFAULT_ENGINE
    from trainable.training.full import run_training
    from trainable.training.start import read_start
    from trainable.training.thread_choice import ThreadChoice

    check_user_model(trial.model)
    require_writable(out)
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
    computing = computing_device(device)
    with progress_bar("log-mels") as progress:
        data = load_training_data(corpus_config, cache_dir=cache_dir(), progress=progress)
    console.print(
        f"{trial.model.family}: {len(data.train_row)} utterances, {len(data.speakers)} speakers, "
        f"{len(data.val_is_target)} validation pairs, {trial.training.max_epochs} epochs"
        f"{', averaged weights are evaluated' if trial.training.is_averaged else ''}",
        soft_wrap=True,
    )
    try:
        with training_bar(str(out), trial.training.max_epochs) as bar:
            chosen = None if computing.type == "cuda" else ThreadChoice(threads, bar.print_line)
            result = run_training(
                config, data, out, device=computing, watcher=bar, threads=chosen
            )
    except KeyboardInterrupt:
        console.print(f"stopped; continue with the same command: {shlex.join(sys.argv)}")
        raise SystemExit(130) from None
    _print_result(result, out)
    return result


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
