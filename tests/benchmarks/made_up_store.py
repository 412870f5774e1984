"""Stores of made-up vectors, written by the product's own code, for benchmarks without audio."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from trainable.features.feature_table import FeatureTable
from trainable.features.request import LOG_MELS
from trainable.store.folder import open_complete
from trainable.store.plan import FORMAT_VERSION, MANIFEST, StoreManifest, StorePlan
from trainable.store.shard_writing import write_shard
from trainable.store.shards import ShardKind, ShardLocation, Vectors

KEY = "0" * 64
NUM_SPEAKERS = 5_994
ROWS_OF_SHARD = 100_000
NUM_DISTINCT = 97


def write_store(
    folder: Path, num_rows: int, vectors_of_row: int, kind: ShardKind = LOG_MELS
) -> None:
    """Write a complete store of utterances of one length, in shards of 100,000."""
    folder.mkdir(parents=True)
    sizes = [min(ROWS_OF_SHARD, num_rows - n) for n in range(0, num_rows, ROWS_OF_SHARD)]
    rng = np.random.default_rng(0)
    pool = rng.normal(-5, 3, (NUM_DISTINCT, vectors_of_row, kind.width)).astype(np.float16)

    def rows(first: int, size: int) -> Iterator[tuple[str, Vectors]]:
        for row in range(first, first + size):
            path = f"/corpus/id{row % NUM_SPEAKERS:05d}/session/{row:07d}.wav"
            yield path, pool[row % NUM_DISTINCT]

    shards = tuple(
        write_shard(
            ShardLocation(folder=folder, kind=kind, key=KEY, number=number),
            rows(number * ROWS_OF_SHARD, size),
        )
        for number, size in enumerate(sizes)
    )
    plan = StorePlan(
        format_version=FORMAT_VERSION,
        kind=kind,
        key=KEY,
        settings={},
        lists=("train_list.txt",),
        audio_dirs=("/corpus",),
        num_rows=tuple(sizes),
    )
    manifest = StoreManifest(plan=plan, shards=shards)
    (folder / MANIFEST).write_text(manifest.model_dump_json())


def open_features_of(folder: Path) -> FeatureTable:
    """Open a made-up store of log-mels as a run does, except that no key is computed."""
    return FeatureTable.of([open_complete(folder)])
