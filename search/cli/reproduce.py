"""`veer reproduce`."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from results.journal.run_folder import RunFolder
from results.journal.values import MOST_THREADS
from search.cli.console import console, progress_bar, training_bar
from search.cli.options import AllowCodeOption, permit
from search.review.epoch_comparison import EpochPair
from search.review.reproduce import Conditions, Reproduction, make_output_folder
from search.review.reproduce import reproduce as reproduce_trial
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.machine.cache_dir import cache_dir

FAILED_STATUS = 1


class ReproductionDevice(StrEnum):
    """Where the trial computes."""

    CPU = "cpu"
    CUDA = "cuda"


def reproduce(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder of a search.")],
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="Number of the trial.")],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Compute so many of its first epochs only.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder to keep config and checkpoints in; else nothing is kept."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_THREADS, help="CPU threads; without it as many as then."),
    ] = None,
    device: Annotated[
        ReproductionDevice | None, typer.Option(help="Without it what the trial had.")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(help="corpus.yaml of the same corpus, where it lies at another place now."),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="The same teacher's file, where it lies at another place now."),
    ] = None,
    code: AllowCodeOption = False,
) -> None:
    """Compute a trial again from scratch, and compare every epoch with the journal.

    On the machine, with the versions and the threads of then, every figure but the timing must
    come again bit for bit; elsewhere VEER and loss within the tolerance of docs/reproduce.md. Exit
    status 0 if so, 1 if not.
    """
    permit(code)
    folder = RunFolder(run)
    conditions = Conditions(
        epochs=epochs,
        num_threads=threads,
        device=device,
        corpus=None if corpus is None else read_corpus_config(corpus),
        teacher=teacher,
    )
    recorded = conditions.trial_of(folder, trial)
    if out is not None:
        make_output_folder(out)  # before long work
    with progress_bar("log-mels") as progress:  # where the cache does not have them any more
        load_training_data(recorded.corpus, cache_dir=cache_dir(), progress=progress)
    title, num_epochs = f"trial {trial} again", len(recorded.history.epochs)
    with _place(out) as place, training_bar(title, num_epochs) as bar:
        found = reproduce_trial(folder, trial, place, conditions=conditions, watcher=bar.epoch)
    _print(found)
    if not found.holds:
        raise typer.Exit(FAILED_STATUS)


@contextmanager
def _place(out: Path | None) -> Iterator[Path]:
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="veer-reproduce-") as folder:
        yield Path(folder)


def _print(found: Reproduction) -> None:
    console.print(pairs_table(found.pairs))
    for text in found.differences:
        console.print(f"differs from then: {text}", highlight=False, soft_wrap=True, markup=False)
    console.print(found.verdict, highlight=False, soft_wrap=True, markup=False)


def pairs_table(pairs: tuple[EpochPair, ...]) -> Table:
    """Return a row an epoch: VEER and loss, recorded and again."""
    table = Table()
    for name in ("epoch", "VEER %", "VEER % again", "difference", "loss", "loss difference"):
        table.add_column(name, justify="right")
    for pair in pairs:
        veer_pct, again_pct = pair.recorded["veer_pct"], pair.again["veer_pct"]
        table.add_row(
            str(pair.epoch),
            _number(veer_pct),
            _number(again_pct),
            _drift(pair.veer_drift_pct),
            _number(pair.recorded.get("loss_total")),
            _drift(pair.loss_drift),
        )
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _drift(value: float) -> str:
    return "0" if value == 0 else f"{value:+.2e}"
