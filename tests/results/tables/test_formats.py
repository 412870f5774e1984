"""Tables are written as CSV, JSON and Parquet without loss."""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.tables.formats import FileFormat, write_table
from results.tables.trials import epochs_table, trials_table
from spaces.files.errors import ConfigError


def test_json_holds_the_rows(journal_run: RunFolder) -> None:
    table = trials_table(RunView.read(journal_run))
    assert json.loads(write_table(table, "json", None)) == table.to_pylist()


def test_json_writes_times_as_iso(journal_run: RunFolder) -> None:
    table = epochs_table(RunView.read(journal_run))
    rows = json.loads(write_table(table, "json", None))
    assert rows[0]["time"] == table.column("time")[0].as_py().isoformat()


def test_csv_has_a_heading_and_empty_cells_for_nulls(journal_run: RunFolder) -> None:
    table = trials_table(RunView.read(journal_run))
    rows = list(csv.DictReader(io.StringIO(write_table(table, "csv", None))))
    assert list(rows[0]) == table.column_names
    assert rows[0]["veer_pct"] == "10"
    assert rows[0]["param.loss.alpha"] == ""
    assert [row["trial"] for row in rows] == [str(t) for t in table.column("trial").to_pylist()]


def test_csv_puts_a_list_into_one_cell() -> None:
    table = pa.table({"epoch": [1, 2], "loss_stages": [[0.5, 0.25, 1.0], None]})
    rows = list(csv.DictReader(io.StringIO(write_table(table, "csv", None))))
    assert [row["loss_stages"] for row in rows] == ["0.5 0.25 1.0", ""]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_file_is_written_into_a_new_folder(
    journal_run: RunFolder, tmp_path: Path, form: FileFormat
) -> None:
    table = trials_table(RunView.read(journal_run))
    out = tmp_path / "new" / f"trials.{form}"
    assert write_table(table, form, out) == ""
    assert out.stat().st_size > 0
    if form == "parquet":
        assert pq.read_table(out).equals(table)


def test_parquet_needs_a_file(journal_run: RunFolder) -> None:
    with pytest.raises(ConfigError, match="--format parquet needs a file: add --out FILE"):
        write_table(trials_table(RunView.read(journal_run)), "parquet", None)
