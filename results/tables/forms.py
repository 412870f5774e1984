"""The table of the forms of deployment of a run, from its forms.json."""

from collections.abc import Sequence

import pyarrow as pa

from results.analysis.form_front import form_points
from results.records.benchmark_row import BenchmarkRow
from results.tables.schema import TableColumn, arrow_schema, table_columns

FORM_COLUMNS = (
    *table_columns(BenchmarkRow),
    TableColumn(
        name="on_front",
        dtype=pa.bool_(),
        meaning="Whether no other form of a student is at most as high in VEER, latency and size "
        "at batch 1 on one thread, and lower in one; null for the teacher and other settings.",
    ),
)


def forms_table(rows: Sequence[BenchmarkRow]) -> pa.Table:
    """Return a row for each form and setting; see `FORM_COLUMNS`."""
    compared = {id(point.row): point for point in form_points(rows) if point.is_student}
    values = [
        {**row.as_dict(), "on_front": point.is_on_front if point else None}
        for row in rows
        for point in (compared.get(id(row)),)
    ]
    return pa.Table.from_pylist(values, schema=arrow_schema(FORM_COLUMNS))
