"""The columns of a file of embeddings, written, thinned out and added to."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Columns = dict[str, list]


def write(file: Path, columns: Columns, dtype: pa.DataType | None = None) -> Path:
    emb = columns["embedding"]
    typed = emb if dtype is None else [[np.float16(x) for x in row] for row in emb]
    array = pa.array(typed, pa.list_(dtype or pa.float32()))
    pq.write_table(pa.table(columns | {"embedding": array}), file)
    return file


def without(columns: Columns, utterances: set[str]) -> Columns:
    kept = [n for n, name in enumerate(columns["utterance"]) if name not in utterances]
    return {name: [values[n] for n in kept] for name, values in columns.items()}


def with_row(columns: Columns, **cells: object) -> Columns:
    first = {name: values[0] for name, values in columns.items()}
    return {name: [*values, (first | cells)[name]] for name, values in columns.items()}
