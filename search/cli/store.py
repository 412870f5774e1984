"""`veer data build`, `info` and `prune`: the log-mels that are kept in the cache."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from search.cli.console import console, counting
from trainable.corpus import read_corpus, read_corpus_config
from trainable.data import feature_requests, load_training_data
from trainable.errors import StoreError
from trainable.places import cache_dir
from trainable.store.cache import StoreInfo, StoreState, list_stores, prunable, verify_store
from trainable.store.lock import remove_store

Corpus = Annotated[Path, typer.Argument(metavar="CORPUS.yaml", help="The corpus.yaml.")]


def build(corpus: Corpus) -> None:
    """Compute the log-mels of a corpus now, so that no run has to.

    They go to $VEER_CACHE (~/.cache/veer), 16 kB a second of audio. A build that was interrupted
    goes on; one that is complete is only opened. Every file that cannot be used is named.
    """
    with counting("log-mels") as progress:
        data = load_training_data(
            read_corpus_config(corpus), cache_dir=cache_dir(), progress=progress
        )
    _print_stores(_stores_of(corpus))
    console.print(f"{corpus}: {len(data.features.length):,} utterances are ready")


def info(
    corpus: Annotated[
        Path | None,
        typer.Argument(metavar="CORPUS.yaml", help="Show only the store that it would use."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read everything and compare all checksums.")
    ] = False,
) -> None:
    """List the stores of log-mels in the cache: what they hold, and whether they are complete.

    Superseded is a store of lists that a later store has too: the corpus has changed since. What
    --verify finds damaged is named; once deleted, a shard is rebuilt alone by the next run.
    """
    stores = list_stores(cache_dir()) if corpus is None else _stores_of(corpus)
    if corpus is not None and not stores:
        raise StoreError(
            f"{corpus}: {cache_dir()} has no log-mels of it as it is now; "
            f"veer data build {corpus} computes them"
        )
    _print_stores(stores)
    if verify:
        _verify([store.folder for store in stores if store.num_vectors is not None])


def prune(
    older_than_days: Annotated[
        float | None,
        typer.Option(min=0, help="Also remove stores that nothing opened for so many days."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove unfinished and superseded stores of log-mels; never one that a process uses."""
    stores = prunable(list_stores(cache_dir()), older_than_days)
    if not stores:
        console.print(f"{cache_dir()}: nothing to remove")
        return
    _print_stores(stores)
    if not yes:
        typer.confirm(f"remove {len(stores)} from {cache_dir()}?", abort=True)
    freed_bytes = 0
    for store in stores:
        if remove_store(store.folder):
            freed_bytes += store.size_bytes
        else:
            console.print(f"kept {store.folder.name}: in use", highlight=False)
    console.print(f"freed {freed_bytes:,} bytes", highlight=False)


def _stores_of(corpus: Path) -> tuple[StoreInfo, ...]:
    """The store of a corpus as it is now, if there is one."""
    requests = feature_requests(read_corpus(read_corpus_config(corpus)), cache_dir())
    folders = {request.folder for request in requests}
    return tuple(store for store in list_stores(cache_dir()) if store.folder in folders)


def _verify(folders: Sequence[Path]) -> None:
    damages: list[str] = []
    with counting("stores verified") as progress:
        for done, folder in enumerate(folders, 1):
            damages += verify_store(folder)
            progress(done, len(folders))
    if damages:
        fix = "delete what is named, and the next run or `veer data build` rebuilds it alone"
        raise StoreError("\n".join([*damages, fix]))
    console.print(f"{len(folders)} verified: no damage", highlight=False)


def _print_stores(stores: Sequence[StoreInfo]) -> None:
    table = Table()
    table.add_column("store", no_wrap=True)
    table.add_column("corpus", overflow="fold")
    table.add_column("state", no_wrap=True)
    for heading in ("utterances", "frames or crops", "bytes", "shards", "unused, days"):
        table.add_column(heading, justify="right", no_wrap=True)
    for store in stores:
        plan = store.plan
        shards = f"{store.num_shards:,}"
        if plan and store.state is StoreState.UNFINISHED:
            shards += f" of {len(plan.num_rows):,}"
        table.add_row(
            store.folder.name,
            "\n".join(plan.lists) if plan else "",
            store.state.value,
            f"{sum(plan.num_rows):,}" if plan else "",
            "" if store.num_vectors is None else f"{store.num_vectors:,}",
            f"{store.size_bytes:,}",
            shards,
            f"{store.unused_days:.1f}",
        )
    console.print(table)
