"""Tables as CSV, JSON and Parquet files."""

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
    """Return a table as the content of a file.

    CSV has a header line, JSON is a list of rows. CSV has no lists: their values are put into one
    cell, separated by spaces.
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
    """Write a table to a file, or return its text where `out` is None.

    Raises:
        ConfigError: The format is Parquet, which is not text, and there is no file.
    """
    if out is None:
        if form == "parquet":
            raise ConfigError("--format parquet needs a file: add --out FILE")
        return format_table(table, form).decode()
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(out, format_table(table, form))
    return ""


def _flat(table: pa.Table) -> pa.Table:
    """Return the table with list columns as text."""
    for index, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [
                None if values is None else " ".join(map(str, values))
                for values in table.column(index).to_pylist()
            ]
            table = table.set_column(index, field.name, pa.array(texts, pa.string()))
    return table


def _json(table: pa.Table) -> str:
    # `default` is called only for times: the tables have no other type that JSON lacks.
    rows = [
        json.dumps(row, ensure_ascii=False, default=lambda time: time.isoformat())
        for row in table.to_pylist()
    ]
    return "[\n" + ",\n".join(rows) + "\n]\n"
