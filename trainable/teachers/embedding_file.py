"""Embeddings of crops in a Parquet file: the format of a teacher without code.

Columns: `utterance` (the path as the lists have it), `start_frame` and `num_frames` (10 ms each),
`embedding` (a list of floats, of one size in the whole file). There is one row per crop.

Shapes: N crops of the file, D embedding.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from spaces.files.complaints import did_you_mean
from spaces.files.digest import verify_digest, write_digest
from spaces.files.disk import translate_disk_full
from spaces.files.errors import TrainingError
from trainable.features.crop_bank import Index

UTTERANCE, START, NUM_FRAMES, EMBEDDING = COLUMNS = (
    "utterance",
    "start_frame",
    "num_frames",
    "embedding",
)
META_KEY = b"veer"
MAX_FAULTS = 10
# 16,384 embeddings of 512 float32 are 32 MiB.
ROWS_AT_ONCE = 16_384

StoredEmbeddings = NDArray[np.float32] | NDArray[np.float16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddingTable:
    """The crops of the requested utterances, in the file's order.

    Attributes:
        file: The file they were read from.
        utterance_N: Position among the requested utterances.
        start_N: First frame of the crop.
        num_frames_N: Frames of the crop.
        embedding_ND: float16 if the file has float16, else float32.
    """

    file: Path
    utterance_N: Index
    start_N: Index
    num_frames_N: Index
    embedding_ND: StoredEmbeddings


def read_embeddings(file: Path, utterances: Sequence[str]) -> EmbeddingTable:
    """Read the crops of these utterances; rows of other utterances are ignored.

    Args:
        file: The Parquet file.
        utterances: Paths, without repetition.

    Raises:
        TrainingError: The file is missing or no Parquet file, a column is missing or of another
            type, a value is missing, or an embedding has another size, is zero, NaN or infinite.
        DamagedError: Its content does not match its digest.
    """
    # Files of other programs have no digest, and pass.
    verify_digest(file)
    with _opened(file) as parquet:
        schema = parquet.schema_arrow
        if faults := list(_schema_faults(schema)):
            raise TrainingError("\n".join(f"{file}: {fault}" for fault in faults))
        places = parquet.read([UTTERANCE, START, NUM_FRAMES])
        for name in places.column_names:
            if places[name].null_count:
                raise TrainingError(
                    f"{file}: {name} must be set in every row, got {places[name].null_count} nulls"
                )
        # The column may be large_string, string_view or a dictionary; index_in needs equal types.
        found = pc.index_in(places[UTTERANCE].cast(pa.string()), pa.array(utterances, pa.string()))
        utterance_N = pc.fill_null(found, -1).to_numpy().astype(np.int64)
        wanted_N = utterance_N >= 0
        faults = []
        embedding_ND = _embeddings(parquet, wanted_N, faults)
        if faults:
            shown = faults[:MAX_FAULTS] + ["..."] * (len(faults) > MAX_FAULTS)
            raise TrainingError("\n".join(f"{file}: {fault}" for fault in shown))
        return EmbeddingTable(
            file=file,
            utterance_N=utterance_N[wanted_N],
            start_N=places[START].to_numpy().astype(np.int64)[wanted_N],
            num_frames_N=places[NUM_FRAMES].to_numpy().astype(np.int64)[wanted_N],
            embedding_ND=embedding_ND,
        )


def read_meta(file: Path) -> dict[str, Any]:
    """Return the metadata that `EmbeddingWriter` wrote; empty for a file from another program.

    Raises:
        TrainingError: The file is missing or no Parquet file.
    """
    with _opened(file) as parquet:
        recorded = (parquet.schema_arrow.metadata or {}).get(META_KEY)
        try:
            return {} if recorded is None else dict(json.loads(recorded))
        except (ValueError, TypeError) as error:
            raise TrainingError(
                f"{file}: its metadata is not JSON, so it is damaged; make it again"
            ) from error


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


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file, and translate pyarrow's errors."""
    if not file.is_file():
        raise TrainingError(f"{file}: there is no such file")
    try:
        # By default pyarrow ignores the checksums of pages, where a file has them.
        with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            yield parquet
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise TrainingError(
            f"{file}: not a readable Parquet file: {error}; restore it from a copy, or make it "
            "again"
        ) from error


def _schema_faults(schema: pa.Schema) -> Iterator[str]:
    """Yield the rules that the columns break."""
    for name in COLUMNS:
        if name not in schema.names:
            others = [other for other in schema.names if other not in COLUMNS]
            yield (
                f"column {name!r} is missing (needed: {', '.join(COLUMNS)})"
                f"{did_you_mean(name, others)}"
            )
            continue
        dtype = schema.field(name).type
        rule, fits = _rule_of(name, dtype)
        if not fits:
            yield f"column {name!r} must hold {rule}, got {dtype}"


def _rule_of(name: str, dtype: pa.DataType) -> tuple[str, bool]:
    """Return the rule for a column's type, and whether this type follows it."""
    if pa.types.is_dictionary(dtype):
        dtype = dtype.value_type
    if name == UTTERANCE:
        is_text = pa.types.is_string(dtype) or pa.types.is_large_string(dtype)
        return "text", is_text or pa.types.is_string_view(dtype)
    if name != EMBEDDING:
        return "whole numbers", pa.types.is_integer(dtype)
    is_list = (
        pa.types.is_list(dtype)
        or pa.types.is_large_list(dtype)
        or pa.types.is_fixed_size_list(dtype)
    )
    return "lists of floats", is_list and pa.types.is_floating(dtype.value_type)


def _embeddings(
    parquet: pq.ParquetFile, wanted_N: NDArray[np.bool_], faults: list[str]
) -> StoredEmbeddings:
    """Return the embeddings of the wanted rows, (wanted, D), read in batches.

    Messages about wrong rows are added to `faults`; after the first, rows are only checked.
    """
    dtype = parquet.schema_arrow.field(EMBEDDING).type.value_type
    as_float = np.float16 if pa.types.is_float16(dtype) else np.float32
    out_ND, first, filled = np.empty((0, 0), as_float), 0, 0
    for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=[EMBEDDING]):
        rows = batch.column(0)
        wanted = wanted_N[first : first + len(rows)]
        if first == 0:
            size = len(rows[0]) if rows[0].is_valid else 0
            out_ND = np.empty((int(wanted_N.sum()), size), as_float)
        faults += _size_faults(rows, out_ND.shape[1], first)
        if not faults:
            # Not `values`: that has the rows outside of this batch's slice too.
            piece = rows.flatten().to_numpy(zero_copy_only=False)
            emb_BD = piece.astype(as_float).reshape(len(rows), -1)
            faults += _value_faults(emb_BD, first)
            out_ND[filled : filled + int(wanted.sum())] = emb_BD[wanted]
        # A file whose rows are all wrong need not be read to its end.
        if len(faults) >= MAX_FAULTS:
            break
        first, filled = first + len(rows), filled + int(wanted.sum())
    return out_ND


def _size_faults(rows: pa.Array, size: int, first: int) -> list[str]:
    """Return a message for each embedding whose size differs from the first row's."""
    sizes = pc.fill_null(pc.list_value_length(rows), -1).to_numpy()
    if size == 0 and len(sizes):
        return [f"row {first}: embedding must hold numbers, got none"]
    return [
        f"row {first + place}: embedding must have {size} numbers as in row 0, "
        f"got {'none' if sizes[place] < 0 else sizes[place]}"
        for place in np.flatnonzero(sizes != size)
    ]


def _value_faults(emb_BD: StoredEmbeddings, first: int) -> list[str]:
    """Return a message for each embedding without a direction (zero, NaN or infinite)."""
    broken_B: NDArray[np.bool_] = ~np.asarray(np.isfinite(emb_BD).all(axis=1))
    zero_B = ~emb_BD.any(axis=1)
    return [
        f"row {first + place}: embedding must be finite and not zero, "
        f"got {'NaN or infinite numbers' if broken_B[place] else 'zeros'}"
        for place in np.flatnonzero(broken_B | zero_B)
    ]
