"""`veer reproduce`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import RenderableType

from results.records.limits import MOST_THREADS
from search.cli.console import console, progress_bar, table_of, training_bar
from search.cli.options import AllowCodeOption, permit

if TYPE_CHECKING:
    from search.review.epoch_comparison import EpochPair
    from search.review.reproduce import Reproduction

# Exit status if the trial was not reproduced.
FAILED_STATUS = 1


def reproduce(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder of a search.")],
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="Number of the trial.")],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Compute only this many first epochs.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for config and checkpoints; by default they are not kept."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_THREADS, help="CPU threads; by default the recorded number."),
    ] = None,
    device: Annotated[
        Literal["cpu", "cuda"] | None, typer.Option(help="Device; by default the recorded kind.")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(help="corpus.yaml of the same corpus, if its path has changed."),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="The same teacher's file, if its path has changed."),
    ] = None,
    code: AllowCodeOption = False,
) -> None:
    """Compute a trial again from scratch, and compare every epoch with the journal.

    On the same machine with the same versions and threads, every number except the timing must be
    equal bit for bit. Otherwise, and on a GPU without engine.deterministic, VEER and loss must be
    within the tolerance of docs/reproduce.md.
    Exit status 0 if the trial was reproduced, 1 if not.
    """
    from results.analysis.run_view import RunView
    from search.review.reproduce import (
        Conditions,
        make_output_folder,
    )
    from search.review.reproduce import (
        reproduce as reproduce_trial,
    )
    from trainable.corpus.corpus import read_corpus_config
    from trainable.features.training_data import load_training_data
    from trainable.machine.cache_dir import cache_dir

    permit(code)
    view = RunView.read(run)
    conditions = Conditions(
        epochs=epochs,
        num_threads=threads,
        device=device,
        corpus=None if corpus is None else read_corpus_config(corpus),
        teacher=teacher,
    )
    recorded = conditions.trial_of(view, trial)
    if out is not None:
        make_output_folder(out)  # before long work, so that a bad path fails at once
    with progress_bar("log-mels") as progress:  # if they are no longer in the cache
        load_training_data(recorded.corpus, cache_dir=cache_dir(), progress=progress)
    title, num_epochs = f"trial {trial} again", len(recorded.history.epochs)
    with _output_folder(out) as place, training_bar(title, num_epochs) as bar:
        found = reproduce_trial(view, trial, place, conditions=conditions, watcher=bar.epoch)
    _print(found)
    if not found.holds:
        raise typer.Exit(FAILED_STATUS)


@contextmanager
def _output_folder(out: Path | None) -> Iterator[Path]:
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="veer-reproduce-") as folder:
        yield Path(folder)


def _print(found: Reproduction) -> None:
    console.print(pairs_table(found.pairs))
    for text in found.differences:
        console.print(
            f"different conditions: {text}", highlight=False, soft_wrap=True, markup=False
        )
    if found.inexact is not None:
        console.print(
            f"bits may differ: {found.inexact}", highlight=False, soft_wrap=True, markup=False
        )
    console.print(found.verdict, highlight=False, soft_wrap=True, markup=False)


def pairs_table(pairs: tuple[EpochPair, ...]) -> RenderableType:
    """Return a table of recorded and new VEER and loss, with a row for each epoch."""
    headings = ("epoch", "VEER %", "VEER %\nagain", "difference", "loss", "loss\ndifference")
    rows = [
        (
            str(pair.epoch),
            _number(pair.recorded["veer_pct"]),
            _number(pair.again["veer_pct"]),
            _drift(pair.veer_drift_pct),
            _number(pair.recorded.get("loss_total")),
            _drift(pair.loss_drift),
        )
        for pair in pairs
    ]
    return table_of(headings, rows, texts=())


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _drift(value: float) -> str:
    return "0" if value == 0 else f"{value:+.2e}"
