"""Tables as CSV, JSON and Parquet."""

import io
import json
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from spaces.files.atomic import write_bytes_atomically
from spaces.files.errors import ConfigError

FileFormat = Literal["csv", "json", "parquet"]


def format_table(table: pa.Table, form: FileFormat) -> bytes:
    """A table as the content of a file: CSV with a heading, JSON with a list of rows, Parquet.

    CSV has no lists: their values stand in one cell, with spaces between.
    """
    if form == "json":
        return _json(table).encode()
    buffer = io.BytesIO()
    if form == "csv":
        options = pyarrow.csv.WriteOptions(quoting_style="needed")
        pyarrow.csv.write_csv(_flat(table), buffer, options)
    else:
        pq.write_table(table, buffer)
    return buffer.getvalue()


def write_table(table: pa.Table, form: FileFormat, out: Path | None) -> str:
    """Writes a table to a file, or returns its text if there is none.

    Raises:
        ConfigError: Parquet is no text and needs a file.
    """
    if out is None:
        if form == "parquet":
            raise ConfigError("--format parquet needs a file: add --out FILE")
        return format_table(table, form).decode()
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(out, format_table(table, form))
    return ""


def _flat(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [
                None if values is None else " ".join(map(str, values))
                for values in table.column(place).to_pylist()
            ]
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    return table


def _json(table: pa.Table) -> str:
    # The only values that JSON lacks are times.
    rows = [
        json.dumps(row, ensure_ascii=False, default=lambda time: time.isoformat())
        for row in table.to_pylist()
    ]
    return "[\n" + ",\n".join(rows) + "\n]\n"
