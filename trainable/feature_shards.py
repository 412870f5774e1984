"""One shard of a feature store: an Arrow IPC file, a row an utterance, opened by memory map.

A shard is a single record batch, so that all frames of its utterances lie in one buffer, one
after the other, and a NumPy view of it is a table of frames. Columns:

    path        string
    num_frames  int32
    crc32       uint32, CRC-32 of the path in UTF-8 followed by the frames
    frames      list<fixed_size_list<float16>[F]>

Shapes: N frames of a shard, U utterances of a shard, T frames of an utterance, F mel bins.
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

from models.frontend import NUM_MELS

Frames = NDArray[np.float16]
_Number = TypeVar("_Number", bound=np.generic)
PARTIAL_SUFFIX = ".tmp"
KEY, NUMBER = b"veer.key", b"veer.shard"
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("num_frames", pa.int32()),
        ("crc32", pa.uint32()),
        ("frames", pa.list_(pa.list_(pa.float16(), NUM_MELS))),
    ]
)


class ShardDamage(ValueError):  # noqa: N818 - found and mended inside, not an error for a person
    """A shard is not what its record says; the message names the file."""


class ShardRecord(BaseModel):
    """What the manifest says of a shard.

    Attributes:
        name: File name.
        num_rows: Utterances.
        num_frames: Frames of all of them.
        size_bytes: Size of the file.
        crc32: CRC-32 of the columns num_frames and crc32, and through the latter of every frame.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    num_rows: int
    num_frames: int
    size_bytes: int
    crc32: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """An opened shard.

    Attributes:
        record: What it holds.
        frames_NF: float16 view of the mapped file.
        length_U: Frames of each utterance, int32 view of the mapped file.
    """

    record: ShardRecord
    frames_NF: Frames
    length_U: NDArray[np.int32]


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"features-{number:05d}.arrow"


def write_shard(
    folder: Path, key: str, number: int, rows: Iterable[tuple[str, Frames]]
) -> ShardRecord:
    """Write a shard under a temporary name and rename it when complete and on disk.

    Memory does not grow with the shard: frames go to an unnamed file, and from its pages into the
    shard.

    Args:
        folder: The store.
        key: Its key, written into the shard.
        number: Of the shard, from 0.
        rows: Path and frames (T, F) of each utterance.
    """
    paths: list[str] = []
    lengths: list[int] = []
    checksums: list[int] = []
    path = folder / shard_name(number)
    partial = folder / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
    with tempfile.TemporaryFile(dir=folder) as spill:
        for name, frames_TF in rows:
            content = np.ascontiguousarray(frames_TF).data
            paths.append(name)
            lengths.append(len(frames_TF))
            checksums.append(_row_crc32(name, content))
            spill.write(content)
        spill.flush()
        columns = (pa.array(paths, pa.string()), np.array(lengths, np.int32))
        batch = _batch(*columns, np.array(checksums, np.uint32), _mapped(spill, sum(lengths)))
        batch = batch.replace_schema_metadata({KEY: key, NUMBER: str(number)})
        with partial.open("wb") as out:
            with pa.ipc.new_file(out, batch.schema) as writer:
                writer.write_batch(batch)
            out.flush()
            os.fsync(out.fileno())
    partial.replace(path)
    return open_shard(path, key, number).record


def open_shard(path: Path, key: str, number: int) -> Shard:
    """Map a shard; of the data only lengths and checksums are read.

    Raises:
        ShardDamage: The file is missing, cut short, no shard, or one of another store.
    """
    batch = _read(path, key, number)
    lengths = _view(batch.column("num_frames"), np.int32)
    checksums = _view(batch.column("crc32"), np.uint32)
    num_frames = int(lengths.sum(dtype=np.int64))
    values = batch.column("frames").values.values
    if len(values) != num_frames * NUM_MELS:
        raise ShardDamage(
            f"{path}: must hold {num_frames} frames, got {len(values) / NUM_MELS:g}"
        )
    record = ShardRecord(
        name=path.name,
        num_rows=batch.num_rows,
        num_frames=num_frames,
        size_bytes=path.stat().st_size,
        crc32=zlib.crc32(checksums.data, zlib.crc32(lengths.data)),
    )
    frames_NF = _view(values, np.float16).reshape(-1, NUM_MELS)
    return Shard(record=record, frames_NF=frames_NF, length_U=lengths)


def open_recorded_shard(folder: Path, record: ShardRecord, key: str, number: int) -> Shard:
    """Map a shard that the manifest knows.

    Raises:
        ShardDamage: As `open_shard`; or size, rows or checksums are not those of the record.
    """
    path = folder / record.name
    size_bytes = path.stat().st_size if path.exists() else None
    if size_bytes not in (None, record.size_bytes):
        raise ShardDamage(f"{path}: must have {record.size_bytes} bytes, got {size_bytes}")
    shard = open_shard(path, key, number)
    if shard.record != record:
        named = set(type(record).model_fields)
        wrong = sorted(n for n in named if getattr(shard.record, n) != getattr(record, n))
        told = ", ".join(
            f"{n} must be {getattr(record, n)}, got {getattr(shard.record, n)}" for n in wrong
        )
        raise ShardDamage(f"{path}: {told}")
    return shard


def verify_shard(folder: Path, record: ShardRecord, key: str, number: int) -> None:
    """Read a shard in full and compare every utterance with its checksum.

    Raises:
        ShardDamage: As `open_recorded_shard`, or naming the first utterance that differs.
    """
    shard = open_recorded_shard(folder, record, key, number)
    path = folder / record.name
    batch = _read(path, key, number)
    end_U = np.cumsum(shard.length_U, dtype=np.int64)
    offsets = _view(batch.column("frames").offsets, np.int32)
    if not np.array_equal(offsets[1:], end_U) or offsets[0] != 0:
        raise ShardDamage(f"{path}: offsets and lengths of the frames disagree")
    checksums = _view(batch.column("crc32"), np.uint32)
    begin = 0
    for name, end, expected in zip(batch.column("path"), end_U, checksums, strict=True):
        text = name.as_buffer().to_pybytes()
        got = zlib.crc32(shard.frames_NF[begin:end].data, zlib.crc32(text))
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


def _read(path: Path, key: str, number: int) -> pa.RecordBatch:
    try:
        reader = pa.ipc.open_file(pa.memory_map(os.fspath(path)))
        if reader.num_record_batches != 1:
            raise ShardDamage(f"{path}: must have 1 batch, got {reader.num_record_batches}")
        batch = reader.get_batch(0)
    except FileNotFoundError:
        raise ShardDamage(f"{path}: is missing") from None
    except (pa.ArrowException, OSError) as error:
        raise ShardDamage(f"{path}: is no Arrow file, or cut short: {error}") from error
    if not batch.schema.equals(SCHEMA):
        raise ShardDamage(f"{path}: has other columns than a shard")
    metadata = batch.schema.metadata or {}
    if metadata.get(KEY) != key.encode() or metadata.get(NUMBER) != str(number).encode():
        raise ShardDamage(f"{path}: is a shard of another store, or another shard of this one")
    return batch


def _mapped(spill: IO[bytes], num_frames: int) -> mmap.mmap | bytes:
    """The frames that were written; an empty file cannot be mapped."""
    return mmap.mmap(spill.fileno(), 0, access=mmap.ACCESS_READ) if num_frames else b""


def _batch(
    paths: pa.Array,
    lengths: NDArray[np.int32],
    checksums: NDArray[np.uint32],
    frames: mmap.mmap | bytes,
) -> pa.RecordBatch:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    num_values = int(offsets[-1]) * NUM_MELS
    flat = pa.Array.from_buffers(pa.float16(), num_values, [None, pa.py_buffer(frames)])
    lists = pa.ListArray.from_arrays(
        pa.array(offsets), pa.FixedSizeListArray.from_arrays(flat, NUM_MELS)
    )
    return pa.RecordBatch.from_arrays(
        [paths, pa.array(lengths), pa.array(checksums), lists], schema=SCHEMA
    )
