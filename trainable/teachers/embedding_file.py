"""Embeddings of crops or utterances in a Parquet file: the format of a teacher without code.

Columns: `utterance` (the path as the lists have it), `start_frame` and `num_frames` (10 ms each),
`embedding` (a list of floats, of one size in the whole file). There is one row per crop; without
`start_frame` and `num_frames`, one row per utterance, for every crop of it.

Shapes: N crops of the file, D embedding.
"""

import contextlib
import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from spaces.files.complaints import did_you_mean
from spaces.files.digest import verify_digest
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

    A row of a whole utterance has 0 as the first frame and as the number of frames.

    Attributes:
        file: The file they were read from.
        utterance_N: Position among the requested utterances.
        start_N: First frame of the crop.
        num_frames_N: Frames of the crop.
        embedding_ND: float16 if the file has float16, else float32.
        is_by_crop: Whether a row is a crop, not a whole utterance.
    """

    file: Path
    utterance_N: Index
    start_N: Index
    num_frames_N: Index
    embedding_ND: StoredEmbeddings
    is_by_crop: bool = True


def stored_shape(file: Path) -> tuple[int, int | None]:
    """Return the size of a file's embeddings, and the length of its crops, by its first row.

    Returns:
        The length in frames; None where a row is a whole utterance. 0 twice for a file without
        rows, which `read_embeddings` refuses where an utterance is missing.

    Raises:
        TrainingError: The file is missing or no Parquet file, or a column is missing or of another
            type.
    """
    with _opened(file) as parquet:
        by_crop = _is_by_crop(file, parquet.schema_arrow)
        first = next(parquet.iter_batches(1), None)
        if first is None or not first.num_rows:
            return 0, 0
        row = first.to_pylist()[0]
        return len(row[EMBEDDING] or ()), int(row[NUM_FRAMES] or 0) if by_crop else None


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
        by_crop = _is_by_crop(file, parquet.schema_arrow)
        places = parquet.read([UTTERANCE, START, NUM_FRAMES] if by_crop else [UTTERANCE])
        for name in places.column_names:
            if places[name].null_count:
                raise TrainingError(
                    f"{file}: {name} must be set in every row, got {places[name].null_count} nulls"
                )
        # The column may be large_string, string_view or a dictionary; index_in needs equal types.
        found = pc.index_in(places[UTTERANCE].cast(pa.string()), pa.array(utterances, pa.string()))
        utterance_N = pc.fill_null(found, -1).to_numpy().astype(np.int64)
        wanted_N = utterance_N >= 0
        faults: list[str] = []
        embedding_ND = _embeddings(parquet, wanted_N, faults)
        if faults:
            shown = faults[:MAX_FAULTS] + ["..."] * (len(faults) > MAX_FAULTS)
            raise TrainingError("\n".join(f"{file}: {fault}" for fault in shown))
        return EmbeddingTable(
            file=file,
            utterance_N=utterance_N[wanted_N],
            start_N=_whole(places, START, wanted_N),
            num_frames_N=_whole(places, NUM_FRAMES, wanted_N),
            embedding_ND=embedding_ND,
            is_by_crop=by_crop,
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


def _is_by_crop(file: Path, schema: pa.Schema) -> bool:
    """Return whether a row is a crop, not a whole utterance.

    Raises:
        TrainingError: A column is missing or of another type.
    """
    others = [other for other in schema.names if other not in COLUMNS]
    of_crops = (START, NUM_FRAMES)
    # A misspelt column is no missing one.
    by_crop = any(
        name in schema.names or difflib.get_close_matches(name, others, n=1) for name in of_crops
    )
    needed = COLUMNS if by_crop else (UTTERANCE, EMBEDDING)
    if faults := list(_schema_faults(schema, needed, others)):
        raise TrainingError("\n".join(f"{file}: {fault}" for fault in faults))
    return by_crop


def _whole(places: pa.Table, name: str, wanted_N: NDArray[np.bool_]) -> Index:
    """Return a column's whole numbers in the wanted rows; zeros without such a column."""
    if name not in places.column_names:
        return np.zeros(int(wanted_N.sum()), np.int64)
    numbers_N: Index = places[name].to_numpy().astype(np.int64)[wanted_N]
    return numbers_N


def _schema_faults(
    schema: pa.Schema, needed: Sequence[str], others: Sequence[str]
) -> Iterator[str]:
    """Yield the rules that the columns break."""
    for name in needed:
        if name not in schema.names:
            yield (
                f"column {name!r} is missing (needed: {', '.join(needed)})"
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
