"""`veer fuse`: several models together, weighted on one list and judged on another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.asked_measures import AskedMeasures, PriorsOption, print_systems
from search.cli.chosen_lists import rules_of, unlocked_list
from search.cli.console import computing_device, console, print_line, progress_bar, table_of
from search.cli.options import AllowCodeOption, DeviceOption, permit
from spaces.files.errors import ConfigError

if TYPE_CHECKING:
    from search.review.test_list import FinalTest
    from search.review.trial_list import TrialList
    from search.use.fusion import FusedSystems
    from search.use.system import EmbeddingSystem


def fuse(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Two or more models (exported folders, run folders, model files), or .parquet "
            "files of embeddings."
        ),
    ],
    fit_on: Annotated[
        Path, typer.Option("--fit", help="Trial list that the weights are fitted on.")
    ],
    trials: Annotated[
        Path, typer.Option("--pairs", help="Trial list of other speakers to report on.")
    ],
    root: Annotated[Path, typer.Option(help="Folder that the paths of both are relative to.")],
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="corpus.yaml whose `labels` and `speaker` say how the lists are read.",
            show_default=False,
        ),
    ] = None,
    priors: PriorsOption = None,
    final: Annotated[
        bool,
        typer.Option(
            "--final",
            help="--pairs is a test list: open it for each model, which is recorded.",
        ),
    ] = False,
    device: DeviceOption = "auto",
    code: AllowCodeOption = False,
) -> None:
    """Fuse models: the weighted sum of their cosines, by logistic regression.

    Shown are the fusion and each model on the other list, with the interval of each one's
    difference from the fusion, and what the models cost together. See docs/scores.md.
    """
    from search.use.fusion import fuse_systems
    from search.use.more_measures import list_speakers
    from search.use.system import open_system
    from trainable.embedding.embedder import DEFAULT_PLAN

    permit(code)
    if len(models) < 2:
        raise ConfigError(f"two or more models can be fused, got {len(models)}")
    asked = AskedMeasures(priors=priors)
    computing = computing_device(device)
    systems = [open_system(each, computing, DEFAULT_PLAN) for each in models]
    first = next((s.model.source for s in systems if s.model is not None), None)
    listed = unlocked_list(first, fit_on, root, corpus)
    if final:
        chosen, opened = _opened(systems, trials, root, corpus)
    else:
        chosen, opened = unlocked_list(first, trials, root, corpus), []
    if listed.sha256 == chosen.sha256:
        raise ConfigError(
            "--fit and --pairs are the same list: weights look better on the list that they were "
            "fitted on; give another one"
        )
    with progress_bar("utterances") as progress:
        fused = fuse_systems(systems, listed, chosen, progress)
    print_line(f"{len(chosen.pairs)} pairs of {chosen.file}, weights from {listed.file}")
    print_systems(
        asked, list(fused.systems), fused.index.is_target, list_speakers(chosen, fused.index)
    )
    _record(opened, fused)
    console.print(_costs(fused, systems))


def _opened(
    systems: list[EmbeddingSystem], trials: Path, root: Path, corpus: Path | None
) -> tuple[TrialList, list[FinalTest]]:
    """Read a test list, and record that it is opened for each model."""
    from search.review.test_list import describe_openings, open_test_list
    from search.review.trial_list import read_list
    from trainable.machine.cache_dir import cache_dir

    chosen = read_list(trials, root, None, rules_of(corpus))
    sources = [s.model.source for s in systems if s.model is not None]
    known = [each for each in sources if each is not None]
    if not known:
        raise ConfigError("--final opens a test list for a model, and all are files of embeddings")
    opened = [open_test_list(each, chosen, cache_dir(), print_line) for each in known]
    print_line(describe_openings(opened[0].past))
    for warning in opened[-1].warnings:
        print_line(f"warning: {warning}")
    return chosen, opened


def _record(opened: list[FinalTest], fused: FusedSystems) -> None:
    """Add the EER of the fusion to the records of the test list."""
    from trainable.verification.metrics import equal_error_rate

    eer_pct = equal_error_rate(fused.systems[0].decides, fused.index.is_target)
    for each in opened:
        metrics = {"eer_pct": eer_pct, "fused": [system.name for system in fused.systems[1:]]}
        each.ledger.record_metrics(each.opening, metrics)


def _costs(fused: FusedSystems, systems: list[EmbeddingSystem]) -> object:
    """Return the table of weights and latencies; the fusion needs all models one by one."""
    from search.use.fusion import FUSED, latencies_ms

    times_ms = latencies_ms(systems)
    known = [each for each in times_ms if each is not None]
    rows = [
        (system.name, f"{weight:.3f}", "-" if ms is None else f"{ms:.2f}")
        for system, weight, ms in zip(systems, fused.fit.weights, times_ms, strict=True)
    ]
    # An embedding from a file has a cost too, which is not known here.
    total = f"{sum(known):.2f}" if len(known) == len(times_ms) else "-"
    rows.insert(0, (FUSED, f"{fused.fit.offset:+.3f}", total))
    return table_of(("", "weight or\noffset", "ms of 2 s,\none thread"), rows)
