"""`veer data build`, `info` and `prune`: the stores of log-mels and targets in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from results.terminal.quoting import veer_command
from search.cli.console import INTERRUPTED_STATUS, console, progress_bar
from search.cli.options import AllowCodeOption, permit
from search.cli.store_table import stores_table
from spaces.files.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from search.cluster.store_build import ShardBuilder
    from trainable.features.crop_bank import CropBank
    from trainable.features.training_data import TrainingData
    from trainable.store.cache import StoreInfo
    from trainable.store.folder import OpenStore
    from trainable.teachers.targets import StoredTargets

CorpusArgument = Annotated[Path, typer.Argument(metavar="CORPUS.yaml", help="The corpus.yaml.")]


def build(
    corpus: CorpusArgument,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Shards to build in parallel, one CPU each.", show_default="all CPUs"
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="Ray cluster to build on, such as 10.0.0.1:6379; it must share the cache."
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Also compute this teacher's targets: a model file or run folder of Veer, or an "
            "ONNX, TorchScript or torch.export (.pt2) file, or the .yaml file of one."
        ),
    ] = None,
    crops: Annotated[
        int, typer.Option(min=1, max=1000, help="Crops of an utterance for its targets.")
    ] = 8,
    crop_seed: Annotated[int, typer.Option(min=0, help="Seed of the crops' positions.")] = 0,
    crop_frames: Annotated[
        int, typer.Option(min=8, max=4000, help="Length of the crops in frames of 10 ms.")
    ] = 200,
    verify: Annotated[
        bool, typer.Option("--verify", help="Verify all shards, and rebuild damaged ones.")
    ] = False,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Kind of device that the teacher runs on: part of its targets' key."),
    ] = "auto",
    code: AllowCodeOption = False,
) -> None:
    """Compute the log-mels of a corpus, and a teacher's targets, before a run needs them.

    They are stored in $VEER_CACHE (~/.cache/veer); log-mels take 16 kB per second of audio. An
    interrupted build is continued; a complete one is only opened. Every unusable file is listed.
    Ray builds several shards in parallel, on this machine or on the cluster of --address. With
    --verify every shard is compared with its checksums; damaged ones are listed, removed and
    rebuilt.
    """
    from search.cluster.store_build import ShardBuilder, building_device
    from trainable.features.crop_bank import CropBank

    permit(code)
    # Before the log-mels, which may take hours: a teacher that is unfit is refused at once.
    file = None if teacher is None else _network(teacher)
    bank = CropBank(num_crops=crops, crop_frames=crop_frames, seed=crop_seed)
    try:
        with ShardBuilder(address, workers) as builder:
            data = _log_mels(corpus, builder)
            # Verified once they are open: only a complete store has all its checksums. Damaged
            # shards are removed, so that opening again builds only these.
            if verify and _had_damage(data.features.stores):
                data = _log_mels(corpus, builder)
            if file is not None:
                bank = replace(bank, device=building_device(device, address))
                targets = _targets(file, data, bank, builder)
                if verify and _had_damage(targets.table.stores):
                    _targets(file, data, bank, builder)
    except KeyboardInterrupt:
        console.print("stopped; the same command continues from here")
        raise typer.Exit(INTERRUPTED_STATUS) from None
    console.print(stores_table(_stores_of(corpus, teacher)))
    console.print(f"{corpus}: {len(data.features.length):,} utterances are ready")


def info(
    corpus: Annotated[
        Path | None,
        typer.Argument(
            metavar="CORPUS.yaml", help="Show only the stores that this corpus uses now."
        ),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="With CORPUS.yaml: show only this teacher's targets.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read all stores and compare their checksums.")
    ] = False,
) -> None:
    """List the stores in the cache: log-mels, augmented copies of them, and teachers' targets.

    A store of log-mels is superseded if a later store has the same lists, because the corpus has
    changed. A store of targets is superseded if its log-mels are superseded or missing. --verify
    lists damaged shards; `veer data build CORPUS.yaml --verify` rebuilds them.
    """
    from trainable.machine.cache_dir import cache_dir
    from trainable.store.cache import list_stores
    from trainable.store.plan import MANIFEST

    if corpus is None and teacher is not None:
        raise ConfigError(f"--teacher {teacher} needs CORPUS.yaml, the corpus of the targets")
    stores = list_stores(cache_dir()) if corpus is None else _stores_of(corpus, teacher)
    console.print(stores_table(stores))
    if verify:
        # An unfinished store has no manifest, so nothing to compare its shards with.
        _verify([store for store in stores if (store.folder / MANIFEST).exists()], corpus)


def prune(
    older_than_days: Annotated[
        float | None,
        typer.Option(min=0, help="Also remove stores that were not opened for this many days."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove unfinished and superseded stores, but none that is in use by a process."""
    from trainable.machine.cache_dir import cache_dir
    from trainable.store.cache import list_stores, prunable
    from trainable.store.lock import remove_store

    stores = prunable(list_stores(cache_dir()), older_than_days)
    if not stores:
        console.print(f"{cache_dir()}: nothing to remove")
        return
    console.print(stores_table(stores))
    if not yes:
        typer.confirm(f"remove {len(stores)} stores from {cache_dir()}?", abort=True)
    freed_bytes = 0
    for store in stores:
        # Whether a store is in use is checked at its removal: the user may have waited with the
        # answer.
        if remove_store(store.folder):
            freed_bytes += store.size_bytes
        else:
            console.print(f"kept {store.folder.name}: in use", highlight=False)
    console.print(f"freed {freed_bytes:,} bytes", highlight=False)


def _log_mels(corpus: Path, build: ShardBuilder) -> TrainingData:
    from trainable.corpus.corpus import read_corpus_config
    from trainable.features.training_data import load_training_data
    from trainable.machine.cache_dir import cache_dir

    config = read_corpus_config(corpus)
    with progress_bar("log-mels") as progress:
        return load_training_data(config, cache_dir=cache_dir(), progress=progress, build=build)


def _targets(
    teacher: Path, data: TrainingData, bank: CropBank, build: ShardBuilder
) -> StoredTargets:
    from trainable.machine.cache_dir import cache_dir
    from trainable.teachers.targets import open_targets

    with progress_bar("targets") as progress:
        return open_targets(
            teacher, data, bank, cache_dir=cache_dir(), progress=progress, build=build
        )


def _had_damage(stores: Sequence[OpenStore]) -> bool:
    """Print and remove the damaged shards of stores, and return whether there were any.

    Opening the stores again rebuilds the removed shards.
    """
    from trainable.store.verifying import remove_damaged

    # Several parts of a corpus may share a store, which is then read once.
    folders = list(dict.fromkeys(store.folder for store in stores))
    with progress_bar("shards verified") as progress:
        damages = remove_damaged(folders, progress)
    for damage in damages:
        console.print(f"{damage}; this shard is rebuilt", highlight=False, soft_wrap=True)
    if not damages:
        kind = stores[0].plan.kind.stem
        console.print(f"{kind}: {len(folders)} verified, no damage", highlight=False)
    return bool(damages)


def _network(teacher: Path) -> Path:
    """Return the file of a teacher that is a network or a graph, and so has targets for any crop.

    Raises:
        ConfigError: The teacher has embeddings of fixed crops only.
        CheckpointError: There is no such file, or it is no model file of Veer.
    """
    from trainable.teachers.any_teacher import (
        facts_of_file,
        find_teacher,
        is_plugin,
        is_stored,
    )

    if is_stored(teacher):
        raise ConfigError(
            f"--teacher {teacher}: a file of embeddings already has the embeddings of its own "
            "crops; searches and training runs read it directly"
        )
    if is_plugin(teacher):
        raise ConfigError(
            f"--teacher {teacher}: a plug-in is run by the search or training that uses it, on "
            "its own crops, and its embeddings are stored in the run folder; give a model file or "
            "its folder"
        )
    file = find_teacher(teacher)
    facts_of_file(file)  # a file of another program is refused before the log-mels
    return file


def _stores_of(corpus: Path, teacher: Path | None = None) -> tuple[StoreInfo, ...]:
    """Return the stores that a corpus uses now, with targets of one teacher or of all.

    Raises:
        StoreError: There are none.
    """
    from spaces.files.digest import file_sha256
    from trainable.corpus.corpus import read_corpus, read_corpus_config
    from trainable.features.training_data import feature_requests
    from trainable.foreign_models.graph import open_graph
    from trainable.foreign_models.graph_config import is_graph
    from trainable.machine.cache_dir import cache_dir
    from trainable.store.cache import list_stores
    from trainable.store.plan import SOURCE

    requests = feature_requests(read_corpus(read_corpus_config(corpus)), cache_dir())
    keys = {request.key for request in requests}
    stores = list_stores(cache_dir())
    features = [store for store in stores if store.key in keys]
    if not features:
        raise StoreError(
            f"{corpus}: {cache_dir()} has no log-mels for its current lists; "
            f"{veer_command('data', 'build', corpus)} computes them"
        )
    targets = [store for store in stores if store.settings.get(SOURCE) in keys]
    if teacher is not None:
        file = _network(teacher)
        sha256 = open_graph(file).facts.sha256 if is_graph(file) else file_sha256(file)
        targets = [each for each in targets if each.settings["teacher_sha256"] == sha256]
        if not targets:
            raise StoreError(
                f"{corpus}: {cache_dir()} has no targets of {teacher} for its current lists; "
                f"{veer_command('data', 'build', corpus, '--teacher', teacher)} computes them"
            )
    return (*features, *targets)


def _verify(stores: Sequence[StoreInfo], corpus: Path | None) -> None:
    from trainable.store.verifying import verify_store

    damages: list[str] = []
    with progress_bar("stores verified") as progress:
        for done, store in enumerate(stores, 1):
            damages += verify_store(store.folder)
            progress(done, len(stores))
    if damages:
        again = veer_command("data", "build", corpus or "CORPUS.yaml", "--verify")
        fix = (
            f"`{again}` rebuilds only these; for targets also give --teacher and the options of "
            "their crops"
        )
        raise StoreError("\n".join([*damages, fix]))
    console.print(f"{len(stores)} verified: no damage", highlight=False)
