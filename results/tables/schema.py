"""The columns of the tables in Arrow, from the metadata of the models of their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pydantic import BaseModel

from results.records.benchmark_row import BenchmarkRow
from results.records.trial_records import EpochEnded
from results.tables.trial_row import TrialRow
from trainable.report.column import Column, described_fields, kind_of

PARAM_PREFIX = "param."
DTYPES: Mapping[type, pa.DataType] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    tuple: pa.list_(pa.float64()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """One column of a table; the unit is empty for text and for numbers without unit."""

    name: str
    dtype: pa.DataType
    unit: str = ""
    meaning: str

    @property
    def field(self) -> pa.Field:
        """The Arrow field, with unit and meaning in its metadata."""
        metadata = {"unit": self.unit, "meaning": self.meaning}
        return pa.field(self.name, self.dtype, metadata=metadata)


def table_columns(row: type[BaseModel]) -> tuple[TableColumn, ...]:
    """Return the columns of the rows of a model."""
    return tuple(
        TableColumn(
            name=name,
            dtype=DTYPES[kind_of(row.model_fields[name])],
            unit=column.unit,
            meaning=column.meaning,
        )
        for name, column in described_fields(row).items()
    )


def known_columns(*rows: type[BaseModel]) -> dict[str, Column]:
    """Return the columns of several models by name; those of the first model come first."""
    return {
        name: column for row in reversed(rows) for name, column in described_fields(row).items()
    }


TRIAL_COLUMNS = table_columns(TrialRow)
EPOCH_COLUMNS = (
    *table_columns(EpochEnded),
    TableColumn(
        name="time", dtype=pa.timestamp("ms", tz="UTC"), meaning="When the epoch was reported."
    ),
)
COLUMNS_BY_NAME = known_columns(EpochEnded, BenchmarkRow, TrialRow)

PARAM_MEANING = "Sampled value; null where other values of the trial make it irrelevant."


def arrow_schema(columns: Sequence[TableColumn]) -> pa.Schema:
    """Return the Arrow schema of the fixed columns of a table."""
    return pa.schema([column.field for column in columns])


def param_field(name: str, values: Sequence[object]) -> pa.Field:
    """Return the column of one sampled parameter; mixed types become text.

    Args:
        name: Dotted name in the config.
        values: Value of each trial, None where not sampled.
    """
    # By exact type: for isinstance a bool is also an int.
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        dtype = pa.bool_()
    elif kinds == {int}:
        dtype = pa.int64()
    elif kinds and kinds <= {int, float}:
        dtype = pa.float64()
    else:
        dtype = pa.string()
    return pa.field(PARAM_PREFIX + name, dtype, metadata={"unit": "", "meaning": PARAM_MEANING})
