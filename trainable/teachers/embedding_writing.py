"""The writer of a file of embeddings of crops; `embedding_file` describes the format."""

import contextlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spaces.files.digest import write_digest
from spaces.files.disk import translate_disk_full
from trainable.features.crop_bank import Index
from trainable.teachers.embedding_file import (
    EMBEDDING,
    META_KEY,
    NUM_FRAMES,
    ROWS_AT_ONCE,
    START,
    UTTERANCE,
    StoredEmbeddings,
)


class EmbeddingWriter:
    """A file of embeddings, written in batches; it gets its final name only when complete.

    A context manager: after an exception no file is left. A `DiskFullError` states the bytes of
    the embeddings so far.

    Args:
        file: The file, replaced if it exists.
        meta: Metadata, as plain data.
        embedding_dim: Size of the embeddings.
    """

    def __init__(self, file: Path, meta: Mapping[str, Any], embedding_dim: int) -> None:
        self._file = file
        # In the same folder, since a rename is atomic only within one file system.
        self._partial = file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        self._schema = pa.schema(
            [
                pa.field(UTTERANCE, pa.string()),
                pa.field(START, pa.int32()),
                pa.field(NUM_FRAMES, pa.int32()),
                pa.field(EMBEDDING, pa.list_(pa.float32(), embedding_dim)),
            ],
            metadata={META_KEY: json.dumps(dict(meta)).encode()},
        )
        self._waiting: list[pa.RecordBatch] = []
        self._num_waiting = 0
        self._num_bytes = 0

    def __enter__(self) -> "EmbeddingWriter":
        with self._room():
            self._out = pq.ParquetWriter(self._partial, self._schema, compression="zstd")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with self._room():
            try:
                if kind is None:
                    self._flush()
                self._out.close()
                if kind is None:
                    # On disk before the rename: a crash must not leave a truncated file.
                    with self._partial.open("rb") as written:
                        os.fsync(written.fileno())
                    write_digest(self._file, self._partial)
                    self._partial.replace(self._file)
            finally:
                # Missing after a rename; else it is incomplete.
                self._partial.unlink(missing_ok=True)

    def _room(self) -> contextlib.AbstractContextManager[None]:
        return translate_disk_full(self._file, lambda: self._num_bytes)

    def write(
        self, utterances: Sequence[str], start_N: Index, num_frames: int, emb_ND: StoredEmbeddings
    ) -> None:
        """Append one row per crop; all crops have the same length."""
        columns = [
            pa.array(utterances, pa.string()),
            pa.array(start_N, pa.int32()),
            pa.array(np.full(len(start_N), num_frames), pa.int32()),
            pa.FixedSizeListArray.from_arrays(
                pa.array(emb_ND.astype(np.float32).reshape(-1)), emb_ND.shape[1]
            ),
        ]
        self._waiting.append(pa.record_batch(columns, schema=self._schema))
        self._num_waiting += len(start_N)
        self._num_bytes += 4 * emb_ND.size
        if self._num_waiting >= ROWS_AT_ONCE:
            with self._room():
                self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._out.write_table(pa.Table.from_batches(self._waiting, schema=self._schema))
        self._waiting, self._num_waiting = [], 0
