"""pandas, Polars and DuckDB read the tables as they are: types, nulls, lists and times."""

from datetime import UTC, datetime
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.tables.trials import epochs_table, trials_table, write_tables

POLARS: dict[Any, Any] = {
    pa.int64(): pl.Int64,
    pa.float64(): pl.Float64,
    pa.string(): pl.String,
    pa.bool_(): pl.Boolean,
    pa.list_(pa.float64()): pl.List(pl.Float64),
    pa.timestamp("ms", tz="UTC"): pl.Datetime("ms", "UTC"),
}
DUCKDB: dict[Any, str] = {
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.list_(pa.float64()): "DOUBLE[]",
    pa.timestamp("ms", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
}
Rows = list[dict[str, Any]]


@pytest.fixture
def tables(journal_run: RunFolder) -> tuple[pa.Table, pa.Table]:
    """Of trials and of epochs; their files are written."""
    view = RunView.read(journal_run)
    write_tables(view)
    return trials_table(view), epochs_table(view)


def names_and_types(table: pa.Table, types: dict[Any, Any]) -> dict[str, Any]:
    return {field.name: types[field.type] for field in table.schema}


def test_polars_reads_both(
    journal_run: RunFolder, tables: tuple[pa.Table, pa.Table]
) -> None:
    trials, epochs = tables
    for table, path in ((trials, journal_run.trials_table), (epochs, journal_run.epochs_table)):
        frame = pl.read_parquet(path)
        assert dict(frame.schema) == names_and_types(table, POLARS)
        assert frame.to_dicts() == table.to_pylist()


def test_duckdb_reads_both(
    journal_run: RunFolder, tables: tuple[pa.Table, pa.Table]
) -> None:
    trials, epochs = tables
    for table, path in ((trials, journal_run.trials_table), (epochs, journal_run.epochs_table)):
        with duckdb.connect() as database:
            database.execute("SET TimeZone = 'UTC'")
            described = database.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)])
            types = {name: dtype for name, dtype, *_ in described.fetchall()}
            assert types == names_and_types(table, DUCKDB)
            found = database.sql("SELECT * FROM read_parquet(?)", params=[str(path)])
            assert found.to_arrow_table().to_pylist() == table.to_pylist()


def test_pandas_reads_both(
    journal_run: RunFolder, tables: tuple[pa.Table, pa.Table]
) -> None:
    trials, epochs = tables
    for table, path in ((trials, journal_run.trials_table), (epochs, journal_run.epochs_table)):
        frame = pd.read_parquet(path, dtype_backend="pyarrow")
        types = {name: dtype.pyarrow_dtype for name, dtype in frame.dtypes.items()}
        assert types == {field.name: field.type for field in table.schema}
        assert pa.Table.from_pandas(frame, schema=table.schema).to_pylist() == table.to_pylist()


def test_pandas_by_itself_makes_whole_numbers_with_nulls_floats(
    journal_run: RunFolder, tables: tuple[pa.Table, pa.Table]
) -> None:
    frame = pd.read_parquet(journal_run.trials_table)
    assert frame["trial"].dtype == "int64"
    assert frame["rank"].dtype == "float64"
    assert frame["rank"].isna().sum() == 2  # diverged, failed
    assert frame["veer_pct"].dtype == "float64"
    assert len(frame) == tables[0].num_rows


def test_values_are_the_journals(
    journal_run: RunFolder, tables: tuple[pa.Table, pa.Table]
) -> None:
    assert tables[1].num_rows
    epochs = [each for each in journal_run.read() if each.event == "epoch"]
    frame = pl.read_parquet(journal_run.epochs_table)
    first = frame.row(0, named=True)
    assert first["loss_stages"] == [0.9, 0.5]
    assert first["loss_distillation"] is None
    moment = datetime.fromtimestamp(round(epochs[0].time_s * 1000) / 1000, tz=UTC)
    assert abs((first["time"] - moment).total_seconds()) < 1e-3
    diverged = frame.filter((pl.col("trial") == 2) & (pl.col("epoch") == 2))
    assert diverged["veer_pct"].to_list() == [None]
    trials = pl.read_parquet(journal_run.trials_table)
    sampled = trials.filter(pl.col("trial") == 1).row(0, named=True)
    assert sampled["param.loss.temperature"] == 4.0
    assert trials.filter(pl.col("trial") == 5)["param.loss.alpha"].to_list() == [None]
