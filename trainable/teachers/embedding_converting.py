"""A file of embeddings of another program as Parquet, a row an utterance.

Shapes: N utterances, D embedding.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spaces.files.atomic import write_bytes_atomically
from spaces.files.errors import ConfigError, CorpusError
from trainable.list_formats.layouts import is_path
from trainable.list_formats.list_paths import ListPaths
from trainable.teachers.embedding_file import EMBEDDING, MAX_FAULTS, UTTERANCE
from trainable.teachers.vector_files import Vector, read_vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedEmbeddings:
    """What was written.

    Attributes:
        num_utterances: Rows.
        embedding_dim: Numbers of each.
        lacking: Paths without a file below the root; empty if there is no root.
        not_paths: Names that do not look like paths of files, as those of utterances.
    """

    num_utterances: int
    embedding_dim: int
    lacking: tuple[str, ...]
    not_paths: tuple[str, ...]


def convert_embeddings(
    file: Path,
    out: Path,
    *,
    names: Path | None = None,
    root: Path | None = None,
    wav_scp: Path | None = None,
) -> ConvertedEmbeddings:
    """Write embeddings as a teacher's Parquet file.

    Args:
        file: As `read_vectors` takes it.
        out: The Parquet file, replaced if it exists.
        names: See `read_vectors`.
        root: Folder of the audio: names are written as the paths of files there.
        wav_scp: Kaldi's file with lines 'UTTERANCE PATH', where names are utterances.

    Raises:
        ConfigError: An argument cannot be used; see `read_vectors`.
        CorpusError: Names or embeddings that cannot be used; names each.
    """
    paths, faults = ListPaths(root, wav_scp), list[str]()
    found: dict[str, Vector] = {}
    size = 0
    for name, vector in read_vectors(file, names):
        size = size or vector.size
        if (fault := _fault(vector, size)) is not None:
            faults.append(f"{file}: {name}: {fault}")
            continue
        try:
            path = paths.of(name)
        except ValueError as error:
            faults.append(f"{file}: {name}: {error}")
            continue
        if path in found:
            faults.append(f"{file}: {name}: {path} has an embedding already")
        found[path] = vector
    if faults:
        more = [f"{len(faults):,} such faults"] * (len(faults) > MAX_FAULTS)
        raise CorpusError([*faults[:MAX_FAULTS], *more])
    if not found:
        raise ConfigError(f"{file}: has no embeddings")
    emb_ND = np.stack(list(found.values()))
    column = pa.FixedSizeListArray.from_arrays(pa.array(emb_ND.reshape(-1)), size)
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({UTTERANCE: list(found), EMBEDDING: column}), buffer)
    write_bytes_atomically(out, buffer.getvalue().to_pybytes())
    return ConvertedEmbeddings(
        num_utterances=len(found),
        embedding_dim=size,
        lacking=tuple(paths.lacking),
        not_paths=tuple(name for name in found if not is_path(name)),
    )


def _fault(vector: Vector, size: int) -> str | None:
    """Return why an embedding cannot be used, None if it can."""
    if vector.ndim != 1 or vector.size != size or not size:
        return f"must be a vector of {size} numbers, as the first, got the shape {vector.shape}"
    if not (np.isfinite(vector).all() and vector.any()):
        return "must be finite and not zero"
    return None
