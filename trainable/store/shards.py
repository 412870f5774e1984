"""One shard of a store: an Arrow IPC file, a row an utterance, opened by memory map.

A shard is a single record batch, so that all vectors of its rows lie in one buffer, one after the
other, and a NumPy view of it is a table of vectors. Columns, with log-mel frames as the vectors:

    path        string
    num_frames  int32
    crc32       uint32, CRC-32 of the path in UTF-8 followed by the frames
    frames      list<fixed_size_list<float16>[W]>

Shapes: N vectors of a shard, U rows of a shard, T vectors of a row, W numbers of a vector.
"""

import mmap
import os
import secrets
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from spaces.files.disk import translate_disk_full

Vectors = NDArray[np.float16]
_Number = TypeVar("_Number", bound=np.generic)
PARTIAL_SUFFIX = ".tmp"
KEY, NUMBER = b"veer.key", b"veer.shard"


class ShardDamage(ValueError):  # noqa: N818 - found and mended inside, not an error for a person
    """A shard is not what its record says; the message names the file."""


class ShardKind(BaseModel):
    """What the vectors of a shard are.

    Attributes:
        stem: What file names begin with.
        vectors: Their name in the plural, which the columns have too.
        width: Numbers of a vector.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stem: str
    vectors: str
    width: int

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return pa.schema(
            [
                ("path", pa.string()),
                (f"num_{self.vectors}", pa.int32()),
                ("crc32", pa.uint32()),
                (self.vectors, pa.list_(pa.list_(pa.float16(), self.width))),
            ]
        )

    def file_name(self, number: int) -> str:
        """Of a shard."""
        return f"{self.stem}-{number:05d}.arrow"


class ShardRecord(BaseModel):
    """What the manifest says of a shard.

    Attributes:
        name: File name.
        num_rows: Utterances.
        num_vectors: Vectors of all of them.
        size_bytes: Size of the file.
        crc32: CRC-32 of the columns of counts and of checksums, and through the latter of every
            vector.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    num_rows: int
    num_vectors: int
    size_bytes: int
    crc32: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlace:
    """Which shard of which store.

    Attributes:
        folder: The store.
        kind: What its vectors are.
        key: The store's, which every shard holds.
        number: Of the shard, from 0.
    """

    folder: Path
    kind: ShardKind
    key: str
    number: int

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.kind.file_name(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """An opened shard.

    Attributes:
        record: What it holds.
        vectors_NW: float16 view of the mapped file.
        length_U: Vectors of each row, int32 view of the mapped file.
    """

    record: ShardRecord
    vectors_NW: Vectors
    length_U: NDArray[np.int32]


def write_shard(place: ShardPlace, rows: Iterable[tuple[str, Vectors]]) -> ShardRecord:
    """Write a shard under a temporary name and rename it when complete and on disk.

    Memory does not grow with the shard: vectors go to an unnamed file, and from its pages into
    the shard. A `DiskFullError` names the bytes of the vectors so far.

    Args:
        place: Where it goes.
        rows: Path and vectors (T, W) of each utterance.
    """
    paths, lengths, checksums = list[str](), list[int](), list[int]()
    path = place.path
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    vector_bytes = 2 * place.kind.width  # float16
    room = translate_disk_full(path, lambda: sum(lengths) * vector_bytes)
    with room, tempfile.TemporaryFile(dir=place.folder) as spill:
        for name, vectors_TW in rows:
            content = np.ascontiguousarray(vectors_TW, np.float16).data
            paths.append(name)
            lengths.append(len(vectors_TW))
            checksums.append(_row_crc32(name, content))
            spill.write(content)
        spill.flush()
        columns = (pa.array(paths, pa.string()), np.array(lengths, np.int32))
        content_N = _mapped(spill, sum(lengths))
        batch = _batch(place.kind, *columns, np.array(checksums, np.uint32), content_N)
        batch = batch.replace_schema_metadata({KEY: place.key, NUMBER: str(place.number)})
        try:
            _write(partial, batch)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return open_shard(place).record


def open_shard(place: ShardPlace) -> Shard:
    """Map a shard; of the data only counts and checksums are read.

    Raises:
        ShardDamage: The file is missing, cut short, no shard, or one of another store.
    """
    kind, path = place.kind, place.path
    batch = _read(place)
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


def open_recorded_shard(place: ShardPlace, record: ShardRecord) -> Shard:
    """Map a shard that the manifest knows.

    Raises:
        ShardDamage: As `open_shard`; or size, rows or checksums are not those of the record.
    """
    path = place.path
    size_bytes = path.stat().st_size if path.exists() else None
    if size_bytes not in (None, record.size_bytes):
        raise ShardDamage(f"{path}: must have {record.size_bytes} bytes, got {size_bytes}")
    shard = open_shard(place)
    if shard.record != record:
        named = set(type(record).model_fields)
        wrong = sorted(n for n in named if getattr(shard.record, n) != getattr(record, n))
        told = ", ".join(
            f"{n} must be {getattr(record, n)}, got {getattr(shard.record, n)}" for n in wrong
        )
        raise ShardDamage(f"{path}: {told}")
    return shard


def verify_shard(place: ShardPlace, record: ShardRecord) -> None:
    """Read a shard in full and compare every row with its checksum.

    Raises:
        ShardDamage: As `open_recorded_shard`, or naming the first utterance that differs.
    """
    shard, path = open_recorded_shard(place, record), place.path
    batch = _read(place)
    try:
        batch.validate(full=True)  # a wrong offset leads outside the file: a crash
    except pa.ArrowException as error:
        raise ShardDamage(f"{path}: its columns contradict each other: {error}") from error
    end_U = np.cumsum(shard.length_U, dtype=np.int64)
    offsets = _view(batch.column(place.kind.vectors).offsets, np.int32)
    if not np.array_equal(offsets[1:], end_U) or offsets[0] != 0:
        raise ShardDamage(f"{path}: offsets and lengths of the {place.kind.vectors} disagree")
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
    """The column's memory; Arrow's own `to_numpy` imports pandas, 0.2 s and 27 MB a process."""
    size = np.dtype(dtype).itemsize
    return np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * size)


def _row_crc32(name: str, content: memoryview) -> int:
    return zlib.crc32(content, zlib.crc32(name.encode()))


def _read(place: ShardPlace) -> pa.RecordBatch:
    path = place.path
    try:
        reader = pa.ipc.open_file(pa.memory_map(os.fspath(path)))
        if reader.num_record_batches != 1:
            raise ShardDamage(f"{path}: must have 1 batch, got {reader.num_record_batches}")
        batch = reader.get_batch(0)
        batch.validate()  # lengths alone, reads no columns
    except FileNotFoundError:
        raise ShardDamage(f"{path}: is missing") from None
    except (pa.ArrowException, OSError) as error:
        raise ShardDamage(f"{path}: is no Arrow file, or cut short: {error}") from error
    if not batch.schema.equals(place.kind.schema):
        raise ShardDamage(f"{path}: has other columns than a shard of {place.kind.vectors}")
    metadata = batch.schema.metadata or {}
    known = (metadata.get(KEY), metadata.get(NUMBER))
    if known != (place.key.encode(), str(place.number).encode()):
        raise ShardDamage(f"{path}: is a shard of another store, or another shard of this one")
    return batch


def _mapped(spill: IO[bytes], num_vectors: int) -> mmap.mmap | bytes:
    """The vectors that were written; an empty file cannot be mapped."""
    return mmap.mmap(spill.fileno(), 0, access=mmap.ACCESS_READ) if num_vectors else b""


def _batch(
    kind: ShardKind,
    paths: pa.Array,
    lengths: NDArray[np.int32],
    checksums: NDArray[np.uint32],
    content: mmap.mmap | bytes,
) -> pa.RecordBatch:
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
        out.flush()
        os.fsync(out.fileno())
