"""The writing of one shard of a store; see `shards` for the layout of the file.

Shapes: N vectors of a shard, U rows of a shard, T vectors of a row, W numbers of a vector.
"""

import mmap
import os
import secrets
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spaces.files.disk import translate_disk_full
from trainable.store.shards import (
    KEY_FIELD,
    NUMBER_FIELD,
    ShardKind,
    ShardLocation,
    ShardRecord,
    Vectors,
    open_shard,
)

PARTIAL_SUFFIX = ".tmp"


def write_shard(location: ShardLocation, rows: Iterable[tuple[str, Vectors]]) -> ShardRecord:
    """Write a shard under a temporary name, and rename it when it is complete and on disk.

    Args:
        location: Where the shard goes.
        rows: Path and vectors (T, W) of each utterance.

    Raises:
        DiskFullError: The disk is full; the message names the bytes of the vectors so far.
    """
    paths, lengths, checksums = list[str](), list[int](), list[int]()
    path = location.path
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    vector_bytes = 2 * location.kind.width  # float16
    disk_full = translate_disk_full(path, lambda: sum(lengths) * vector_bytes)
    # A record batch needs all its vectors at once, and a shard may be larger than the memory: the
    # vectors go to an unnamed file first, and Arrow writes the batch from its mapped pages.
    with disk_full, tempfile.TemporaryFile(dir=location.folder) as spill:
        for name, vectors_TW in rows:
            content = np.ascontiguousarray(vectors_TW, np.float16).data
            paths.append(name)
            lengths.append(len(vectors_TW))
            checksums.append(_row_crc32(name, content))
            spill.write(content)
        spill.flush()
        columns = (pa.array(paths, pa.string()), np.array(lengths, np.int32))
        content_N = _mapped(spill, sum(lengths))
        batch = _batch(location.kind, *columns, np.array(checksums, np.uint32), content_N)
        batch = batch.replace_schema_metadata(
            {KEY_FIELD: location.key, NUMBER_FIELD: str(location.number)}
        )
        try:
            _write(partial, batch)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return open_shard(location).record


def _row_crc32(name: str, content: memoryview) -> int:
    """Return the CRC-32 of a path followed by the vectors, so that no two rows can be swapped."""
    return zlib.crc32(content, zlib.crc32(name.encode()))


def _mapped(spill: IO[bytes], num_vectors: int) -> mmap.mmap | bytes:
    """Return the pages of the vectors that were written."""
    # An empty file cannot be mapped.
    return mmap.mmap(spill.fileno(), 0, access=mmap.ACCESS_READ) if num_vectors else b""


def _batch(
    kind: ShardKind,
    paths: pa.Array,
    lengths: NDArray[np.int32],
    checksums: NDArray[np.uint32],
    content: mmap.mmap | bytes,
) -> pa.RecordBatch:
    """Return the record batch over these columns; `content` is used without a copy."""
    # Arrow's lists have 32-bit offsets; a shard has far fewer than 2^31 vectors.
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    num_values = int(offsets[-1]) * kind.width
    flat = pa.Array.from_buffers(pa.float16(), num_values, [None, pa.py_buffer(content)])
    lists = pa.ListArray.from_arrays(
        pa.array(offsets), pa.FixedSizeListArray.from_arrays(flat, kind.width)
    )
    return pa.RecordBatch.from_arrays(
        [paths, pa.array(lengths), pa.array(checksums), lists], schema=kind.schema
    )


def _write(path: Path, batch: pa.RecordBatch) -> None:
    with path.open("wb") as out:
        with pa.ipc.new_file(out, batch.schema) as writer:
            writer.write_batch(batch)
        # On disk before the rename: else a power cut could leave a complete name on an empty file.
        out.flush()
        os.fsync(out.fileno())
