"""One shard of a store: an Arrow IPC file with one row per utterance, opened by memory map.

A shard is a single record batch, so that the vectors of all rows lie in one buffer, one after the
other, and a NumPy view of that buffer is a table of vectors. `shard_writing` writes the file. The
columns, with log-mel frames as the vectors:

    path        string
    num_frames  int32
    crc32       uint32, CRC-32 of the path in UTF-8 followed by the frames
    frames      list<fixed_size_list<float16>[W]>

Shapes: N vectors of a shard, U rows of a shard, T vectors of a row, W numbers of a vector.
"""

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Vectors = NDArray[np.float16]
_Number = TypeVar("_Number", bound=np.generic)
# Metadata of the Arrow schema: the key of the store, and the number of the shard in it.
KEY_FIELD, NUMBER_FIELD = b"veer.key", b"veer.shard"


class ShardDamage(ValueError):  # noqa: N818 - repaired inside this room, no error for a person
    """A shard that differs from its record; the message names the file."""


class ShardKind(BaseModel):
    """What the vectors of a shard are.

    Attributes:
        stem: Beginning of the file names.
        vectors: Name of the vectors in the plural, used in column names and messages.
        width: Numbers in each vector.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stem: str
    vectors: str
    width: int

    @property
    def schema(self) -> pa.Schema:
        """The Arrow columns of a shard."""
        return pa.schema(
            [
                ("path", pa.string()),
                (f"num_{self.vectors}", pa.int32()),
                ("crc32", pa.uint32()),
                (self.vectors, pa.list_(pa.list_(pa.float16(), self.width))),
            ]
        )

    def file_name(self, number: int) -> str:
        """Return the file name of the shard with this number."""
        return f"{self.stem}-{number:05d}.arrow"


class ShardRecord(BaseModel):
    """A shard as the manifest describes it.

    Attributes:
        name: File name.
        num_rows: Number of utterances.
        num_vectors: Number of vectors of all utterances together.
        size_bytes: Size of the file.
        crc32: CRC-32 of the columns of counts and of checksums. It covers every vector, since the
            checksums do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    num_rows: int
    num_vectors: int
    size_bytes: int
    crc32: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardLocation:
    """Which shard of which store.

    Attributes:
        folder: Folder of the store.
        kind: What its vectors are.
        key: Key of the store, which every shard holds.
        number: Number of the shard, from 0.
    """

    folder: Path
    kind: ShardKind
    key: str
    number: int

    @property
    def path(self) -> Path:
        """Path of the shard's file."""
        return self.folder / self.kind.file_name(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """An opened shard.

    Attributes:
        record: What the shard holds.
        vectors_NW: float16 view of the mapped file.
        length_U: Number of vectors of each row, int32 view of the mapped file.
    """

    record: ShardRecord
    vectors_NW: Vectors
    length_U: NDArray[np.int32]


def open_shard(location: ShardLocation) -> Shard:
    """Map a shard. Only the counts and checksums are read, not the vectors.

    Raises:
        ShardDamage: The file is missing, cut short, no shard, or a shard of another store.
    """
    kind, path = location.kind, location.path
    batch = _read(location)
    lengths = _view(batch.column(1), np.int32)
    checksums = _view(batch.column("crc32"), np.uint32)
    num_vectors = int(lengths.sum(dtype=np.int64))
    values = batch.column(kind.vectors).values.values
    if len(values) != num_vectors * kind.width:
        got = len(values) / kind.width
        raise ShardDamage(f"{path}: must hold {num_vectors} {kind.vectors}, got {got:g}")
    record = ShardRecord(
        name=path.name,
        num_rows=batch.num_rows,
        num_vectors=num_vectors,
        size_bytes=path.stat().st_size,
        crc32=zlib.crc32(checksums.data, zlib.crc32(lengths.data)),
    )
    vectors_NW = _view(values, np.float16).reshape(-1, kind.width)
    return Shard(record=record, vectors_NW=vectors_NW, length_U=lengths)


def open_recorded_shard(location: ShardLocation, record: ShardRecord) -> Shard:
    """Map a shard that the manifest lists.

    Raises:
        ShardDamage: As `open_shard`; or size, rows or checksums differ from the record.
    """
    path = location.path
    # The size comes first: it needs no read, and finds most files that a crash cut short.
    size_bytes = path.stat().st_size if path.exists() else None
    if size_bytes not in (None, record.size_bytes):
        raise ShardDamage(f"{path}: must have {record.size_bytes} bytes, got {size_bytes}")
    shard = open_shard(location)
    if shard.record != record:
        named = set(type(record).model_fields)
        wrong = sorted(n for n in named if getattr(shard.record, n) != getattr(record, n))
        rules = (
            f"{n} must be {getattr(record, n)}, got {getattr(shard.record, n)}" for n in wrong
        )
        raise ShardDamage(f"{path}: {', '.join(rules)}")
    return shard


def verify_shard(location: ShardLocation, record: ShardRecord) -> None:
    """Read a shard in full and compare every row with its checksum.

    Raises:
        ShardDamage: As `open_recorded_shard`, or naming the first utterance that differs.
    """
    shard, path = open_recorded_shard(location, record), location.path
    batch = _read(location)
    try:
        # A wrong offset would lead outside the mapped file, and reading there ends the process.
        batch.validate(full=True)
    except pa.ArrowException as error:
        raise ShardDamage(f"{path}: its columns contradict each other: {error}") from error
    end_U = np.cumsum(shard.length_U, dtype=np.int64)
    offsets = _view(batch.column(location.kind.vectors).offsets, np.int32)
    if not np.array_equal(offsets[1:], end_U) or offsets[0] != 0:
        raise ShardDamage(f"{path}: offsets and lengths of the {location.kind.vectors} disagree")
    checksums = _view(batch.column("crc32"), np.uint32)
    begin = 0
    for name, end, expected in zip(batch.column("path"), end_U, checksums, strict=True):
        text = name.as_buffer().to_pybytes()
        got = zlib.crc32(shard.vectors_NW[begin:end].data, zlib.crc32(text))
        if got != expected:
            named = text.decode(errors="replace")
            raise ShardDamage(f"{path}: CRC-32 of {named} must be {expected}, got {got}")
        begin = end


def _view(column: pa.Array, dtype: type[_Number]) -> NDArray[_Number]:
    """Return the column's memory without a copy."""
    # Arrow's own `to_numpy` imports pandas: 0.2 s and 27 MB in every process.
    size = np.dtype(dtype).itemsize
    # Buffer 0 of an Arrow column has the nulls, buffer 1 the values.
    return np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * size)


def _read(location: ShardLocation) -> pa.RecordBatch:
    """Map the file's record batch; raise `ShardDamage` unless it is the shard of this location."""
    path = location.path
    try:
        reader = pa.ipc.open_file(pa.memory_map(os.fspath(path)))
        # Vectors of several batches would not be one buffer.
        if reader.num_record_batches != 1:
            raise ShardDamage(f"{path}: must have 1 batch, got {reader.num_record_batches}")
        batch = reader.get_batch(0)
        batch.validate()  # checks lengths only; `full=True` would read all columns
    except FileNotFoundError:
        raise ShardDamage(f"{path}: is missing") from None
    except (pa.ArrowException, OSError) as error:
        raise ShardDamage(f"{path}: is no Arrow file, or cut short: {error}") from error
    if not batch.schema.equals(location.kind.schema):
        raise ShardDamage(f"{path}: has other columns than a shard of {location.kind.vectors}")
    metadata = batch.schema.metadata or {}
    # A file that was copied from another store would have valid checksums.
    known = (metadata.get(KEY_FIELD), metadata.get(NUMBER_FIELD))
    if known != (location.key.encode(), str(location.number).encode()):
        raise ShardDamage(f"{path}: is a shard of another store, or another shard of this one")
    return batch
