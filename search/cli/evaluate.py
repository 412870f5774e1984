"""`veer evaluate`. Its option `--final` is the only way to score a test list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.asked_measures import (
    AskedMeasures,
    ByOption,
    CalibrateOnOption,
    PriorsOption,
    ScoresOutOption,
    print_measures,
)
from search.cli.calibrate import print_stored_thresholds
from search.cli.chosen_lists import BY_CORPUS, known_corpus, rules_of, unlocked_list
from search.cli.cohort import AsNormOption, CohortOption, CohortRootOption
from search.cli.console import computing_device, console, print_line, progress_bar
from search.cli.options import AllowCodeOption, DeviceOption, QualityOption, permit
from search.cli.training import evaluation_table
from spaces.files.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from search.review.model_source import ModelSource
    from search.review.trial_list import TrialList
    from trainable.verification.evaluation import PairScores
    from trainable.verification.final import FinalEER


def evaluate(
    model: Annotated[
        Path,
        typer.Argument(
            help="A model file, a training run's folder (its best epoch), or a search's run "
            "folder (its best trial)."
        ),
    ],
    trials: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            help="Trial list with lines '1|0 PATH_A PATH_B'. With --final the default is the "
            "corpus's test list.",
            show_default=False,
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(help="Folder that the list's paths are relative to.", show_default=False),
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="With --final: corpus.yaml with the test list, if the model was trained on "
            "another corpus. With --pairs: corpus.yaml whose `labels` and `speaker` say how the "
            "list is read.",
            show_default=False,
        ),
    ] = None,
    trial: Annotated[
        int | None,
        typer.Option(
            min=0, help="Number of a trial of the search, instead of its best.", show_default=False
        ),
    ] = None,
    final: Annotated[
        bool,
        typer.Option(
            "--final",
            help="Open the test list. Every opening is recorded; see docs/test_list.md.",
        ),
    ] = False,
    eval_frames: Annotated[
        int | None,
        typer.Option(min=1, help="Crop length in frames of 10 ms.", show_default="300"),
    ] = None,
    priors: PriorsOption = None,
    as_norm: AsNormOption = None,
    cohort: CohortOption = None,
    cohort_root: CohortRootOption = None,
    by: ByOption = None,
    calibrate_on: CalibrateOnOption = None,
    calibrate_root: Annotated[
        Path | None,
        typer.Option(help="Folder of the paths of --calibrate-on.", show_default="--root"),
    ] = None,
    quality: QualityOption = None,
    enrolled_by: Annotated[
        Path | None,
        typer.Option(
            help="A teacher (model, or .parquet of embeddings): also the scores where it enrols "
            "and the model verifies.",
            show_default=False,
        ),
    ] = None,
    scores_out: ScoresOutOption = None,
    device: DeviceOption = "auto",
    code: AllowCodeOption = False,
) -> None:
    """Score a model on a trial list, under two protocols.

    They are the cosine of the mean embeddings over 10 crops of the log-mels, and
    voxceleb_trainer's mean distance between 10 crops of the waveform. Each minDCF is shown with
    its target prior. AS-Norm, calibration, conditions and a teacher's enrolments are measured on
    the cosine (docs/scores.md).

    A test list is scored only with --final. The time and the model of each opening are recorded
    before a score is computed, and shown at every later opening.
    """
    from search.review.model_source import find_model
    from trainable.embedding.graph_embedder import is_graph_file
    from trainable.verification.crops import DEFAULT_EVAL_FRAMES

    permit(code)
    if is_graph_file(model):
        raise ConfigError(
            f"{model}: a graph is scored by its embeddings: `veer embed LIST --model {model} "
            "--out FILE.parquet`, then `veer score LIST FILE.parquet`"
        )
    _check_options(trials, root, final)
    asked = AskedMeasures(
        priors=priors,
        as_norm=as_norm,
        cohort=cohort,
        cohort_root=cohort_root,
        by=by,
        calibrate_on=calibrate_on,
        calibrate_root=calibrate_root,
        quality=quality,
        enrolled_by=enrolled_by,
        scores_out=scores_out,
    )
    source = find_model(model, trial)
    computing, num_frames = computing_device(device), eval_frames or DEFAULT_EVAL_FRAMES
    if final:
        listed = _final_list(source, trials, root, corpus)
        scores = _open(source, listed, num_frames, computing)
        _print_more(asked, source, listed, scores, (num_frames, computing))
        return
    assert trials is not None and root is not None  # noqa: S101, PT018 - `_check_options`
    chosen = unlocked_list(source, trials, root, corpus)
    scores, eer = _scored(source, chosen, num_frames, computing)
    _print(source, chosen, scores, eer)
    _print_more(asked, source, chosen, scores, (num_frames, computing))


def _print_more(
    asked: AskedMeasures,
    source: ModelSource,
    trials: TrialList,
    scores: PairScores,
    computing: tuple[int, torch.device],
) -> None:
    """Print what the options ask for beyond the two protocols."""
    from search.use.model_in_use import ModelInUse
    from search.use.system import ModelSystem
    from trainable.embedding.embedder import CropPlan, NetworkEmbedder

    num_frames, device = computing
    plan = CropPlan(num_frames=num_frames)
    embedder = NetworkEmbedder(source.loaded.model, device)
    used = ModelInUse(path=source.loaded.file, embedder=embedder, source=source)
    print_stored_thresholds(used, plan, trials, scores)
    if not asked.is_any:
        return
    system = ModelSystem(used, plan)
    print_measures(asked, trials, scores.utterances, system, (source, None), (device, plan))


def _check_options(trials: Path | None, root: Path | None, final: bool) -> None:
    if (trials is None) != (root is None):
        raise ConfigError(
            "--pairs and --root must be given together: the list, and the folder of its paths"
        )
    if trials is None and not final:
        raise ConfigError("give --pairs LIST and --root FOLDER, or --final for the test list")


def _final_list(
    source: ModelSource, trials: Path | None, root: Path | None, corpus: Path | None
) -> TrialList:
    from search.review.trial_list import final_list_of, read_list
    from trainable.corpus.corpus import read_corpus_config

    if trials is not None and root is not None:
        return read_list(trials, root, known_corpus(source), rules_of(corpus))
    if corpus is not None:
        return read_list(*final_list_of(read_corpus_config(corpus), str(corpus)))
    return read_list(*final_list_of(source.corpus(), str(source.loaded.file)))


def _open(
    source: ModelSource, trials: TrialList, eval_frames: int, device: torch.device
) -> PairScores:
    from search.review.test_list import describe_openings, open_test_list
    from trainable.machine.cache_dir import cache_dir

    # Recorded before the scores exist: an interrupted evaluation counts as an opening.
    opened = open_test_list(source, trials, cache_dir(), print_line)
    scores, eer = _scored(source, trials, eval_frames, device)
    metrics = {"eer_pct": eer.eer_pct, "eval_frames": eval_frames} | asdict(scores.result)
    metrics["interval"] = None if eer.interval is None else asdict(eer.interval)
    opened.ledger.record_metrics(opened.opening, metrics)
    _print(source, trials, scores, eer)
    print_line(describe_openings(opened.past))
    for warning in opened.warnings:
        print_line(f"warning: {warning}")
    print_line(f"recorded in {' and '.join(map(str, opened.files))}")
    return scores


def _scored(
    source: ModelSource, trials: TrialList, eval_frames: int, device: torch.device
) -> tuple[PairScores, FinalEER]:
    from trainable.verification.evaluation import embedding_work, score_pairs
    from trainable.verification.final import final_eer

    if device.type == "cpu":
        _choose_threads(embedding_work(source.loaded.model, eval_frames))
    with progress_bar("utterances") as progress:
        scores = score_pairs(
            source.loaded.model,
            trials.root,
            trials.pairs,
            eval_frames=eval_frames,
            device=device,
            progress=progress,
        )
    return scores, final_eer(trials.pairs, scores.cosine, trials.rules.speaker)


def _choose_threads(work: Callable[[], int]) -> None:
    from trainable.machine.thread_speeds import choose_threads

    if (line := choose_threads(work)) is not None:
        print_line(line)


def _print(source: ModelSource, trials: TrialList, scores: PairScores, eer: FinalEER) -> None:
    loaded = source.loaded
    whose = "" if source.trial is None else f"trial {source.trial}, "
    title = f"{whose}{loaded.file}, epoch {loaded.epoch}: {len(trials.pairs)} pairs of"
    # Not as the table's title, which would be wrapped to its width.
    print_line(f"{title} {trials.file}")
    console.print(evaluation_table(scores.result, title=""))
    print_line(f"cosine of mean embeddings: {eer.in_words}")
    if "corpus.yaml" in eer.in_words:
        print_line(BY_CORPUS)
    if eer.warning is not None:
        print_line(f"warning: {eer.warning}")
