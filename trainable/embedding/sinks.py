"""Files of embeddings for other tools: Parquet, NumPy, Kaldi; each appears complete or not at all.

- `.parquet`: columns `utterance`, `duration_s` and `embedding`, which Veer reads as a teacher too.
- `.npy`: a matrix of float32; its rows are the lines of the `.txt` beside it.
- `.ark`: Kaldi's binary vectors, and the `.scp` beside it.

Shapes: B utterances of a batch, D embedding.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spaces.files.atomic import write_text_atomically, written_whole
from spaces.files.complaints import did_you_mean
from spaces.files.digest import write_digest
from spaces.files.errors import ConfigError
from trainable.teachers.embedding_file import EMBEDDING, META_KEY, UTTERANCE
from trainable.verification.embedded import EmbeddedUtterances

DURATION = "duration_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkFacts:
    """What is known of the embeddings before the first.

    Attributes:
        embedding_dim: Size of the embeddings.
        meta: What to record of the model, where the format has room for it.
    """

    embedding_dim: int
    meta: Mapping[str, Any]


class Sink(ABC):
    """A file that embeddings are written to, in batches."""

    @abstractmethod
    def write(self, keys: list[str], batch: EmbeddedUtterances) -> None:
        """Append a batch; `keys` name its utterances in the file."""


def open_sink(file: Path, facts: SinkFacts) -> AbstractContextManager[Sink]:
    """Open the file of a format by its name's end.

    Raises:
        ConfigError: There is no such format, or what it needs is not installed.
    """
    if file.suffix not in SINKS:
        raise ConfigError(
            f"--out must end with {', '.join(SINKS)}, got {file.name!r}"
            f"{did_you_mean(file.suffix, list(SINKS))}"
        )
    return SINKS[file.suffix](file, facts)


class _ParquetSink(Sink):
    def __init__(self, out: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._out, self._schema = out, schema

    def write(self, keys: list[str], batch: EmbeddedUtterances) -> None:
        emb_BD = batch.mean_UD.astype(np.float32)
        columns = [
            pa.array(keys, pa.string()),
            pa.array(batch.duration_s_U, pa.float64()),
            pa.FixedSizeListArray.from_arrays(pa.array(emb_BD.reshape(-1)), emb_BD.shape[1]),
        ]
        self._out.write_batch(pa.record_batch(columns, schema=self._schema))


@contextmanager
def _parquet(file: Path, facts: SinkFacts) -> Iterator[Sink]:
    schema = pa.schema(
        [
            pa.field(UTTERANCE, pa.string()),
            pa.field(DURATION, pa.float64()),
            pa.field(EMBEDDING, pa.list_(pa.float32(), facts.embedding_dim)),
        ],
        metadata={META_KEY: json.dumps(dict(facts.meta)).encode()},
    )
    with written_whole(file) as partial:
        with pq.ParquetWriter(partial, schema, compression="zstd") as out:
            yield _ParquetSink(out, schema)
        # Before the rename: a digest of an earlier file would refuse this one.
        write_digest(file, partial)


class _NumpySink(Sink):
    def __init__(self, raw: Any) -> None:
        self._raw, self.keys = raw, list[str]()

    def write(self, keys: list[str], batch: EmbeddedUtterances) -> None:
        self._raw.write(batch.mean_UD.astype(np.float32).tobytes())
        self.keys += keys


@contextmanager
def _numpy(file: Path, facts: SinkFacts) -> Iterator[Sink]:
    with written_whole(file) as partial:
        with partial.open("w+b") as raw:
            header = {"descr": "<f4", "fortran_order": False, "shape": (0, facts.embedding_dim)}
            np.lib.format.write_array_header_1_0(raw, header)
            size = raw.tell()
            sink = _NumpySink(raw)
            yield sink
            # The number of rows is known only now; NumPy leaves room for it in the header.
            raw.seek(0)
            header["shape"] = (len(sink.keys), facts.embedding_dim)
            np.lib.format.write_array_header_1_0(raw, header)
            assert raw.tell() == size  # noqa: S101 - NumPy leaves that room
        write_text_atomically(file.with_suffix(".txt"), "".join(f"{k}\n" for k in sink.keys))


class _KaldiSink(Sink):
    def __init__(self, raw: Any, save: Callable[..., object]) -> None:
        self._raw, self._save, self.lines = raw, save, list[tuple[str, int]]()

    def write(self, keys: list[str], batch: EmbeddedUtterances) -> None:
        for key, emb_D in zip(keys, batch.mean_UD.astype(np.float32), strict=True):
            # Kaldi's offset is that of the vector, after the key and a space.
            self.lines.append((key, self._raw.tell() + len(key.encode()) + 1))
            self._save(self._raw, {key: emb_D})


@contextmanager
def _kaldi(file: Path, facts: SinkFacts) -> Iterator[Sink]:  # noqa: ARG001 - as the others
    try:
        import kaldiio
    except ImportError as error:
        raise ConfigError(
            "files of Kaldi need the package kaldiio: pip install veer[kaldi]; or choose .parquet "
            "or .npy"
        ) from error
    with written_whole(file) as partial:
        with partial.open("wb") as raw:
            sink = _KaldiSink(raw, kaldiio.save_ark)
            yield sink
        lines = (f"{key} {file}:{offset}\n" for key, offset in sink.lines)
        write_text_atomically(file.with_suffix(".scp"), "".join(lines))


SINKS: Mapping[str, Callable[[Path, SinkFacts], AbstractContextManager[Sink]]] = {
    ".parquet": _parquet,
    ".npy": _numpy,
    ".ark": _kaldi,
}
