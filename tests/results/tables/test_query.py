"""Short expressions select rows and columns; mistakes are named."""

import pyarrow as pa
import pytest

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.tables.query import order_by, resolve_column, select, where
from results.tables.trials import epochs_table, trials_table
from spaces.files.errors import ConfigError


@pytest.fixture
def table(journal_run: RunFolder) -> pa.Table:
    return trials_table(RunView.read(journal_run))


def kept(table: pa.Table) -> list[int]:
    return [int(trial) for trial in table.column("trial").to_pylist()]


@pytest.mark.parametrize(
    ("condition", "trials"),
    [
        ("veer_pct<12", [5, 2]),
        ("veer_pct <= 12", [5, 0, 6, 2]),
        ("veer_pct>24", [4]),
        ("trial>=5", [5, 6]),
        ("trial>4.5", [5, 6]),
        ("state=complete", [5, 0, 6]),
        ("state==complete", [5, 0, 6]),
        ("state!=complete", [1, 4, 2, 3]),
        ("distill_has_no_effect=true", [1]),
        ("distill_has_no_effect=no", [0, 6, 4, 2]),
        ("rank=null", [2, 3]),
        ("alpha!=null", [0, 6, 1, 4, 2, 3]),
        ("loss.alpha=0.5", [1]),
        ("param.training.lr>=5e-3", [5, 6, 2]),
        ("reason=worker died", [3]),
    ],
)
def test_a_condition_keeps_the_rows_that_meet_it(
    table: pa.Table, condition: str, trials: list[int]
) -> None:
    assert kept(where(table, condition)) == trials


def test_whole_numbers_beyond_double_precision_compare_exactly() -> None:
    table = pa.table({"seed": [2**62, 2**62 + 1]})
    assert where(table, f"seed={2**62 + 1}").num_rows == 1


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("veer_pct", "a filter must be COLUMN .* got 'veer_pct'"),
        ("<3", "got '<3'"),
        ("vear_pct<3", "unknown column 'vear_pct'; did you mean 'veer_pct'"),
        ("veer_pct<low", "must be a number, got 'veer_pct<low'"),
        ("distill_has_no_effect=maybe", "must be true or false, got .*maybe"),
        ("rank<null", "null can only be compared with = and !=, got 'rank<null'"),
    ],
)
def test_a_condition_that_cannot_be_met_is_an_error(
    table: pa.Table, condition: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        where(table, condition)


def test_times_are_not_compared(journal_run: RunFolder) -> None:
    with pytest.raises(ConfigError, match="times cannot be compared, got 'time<2026'"):
        where(epochs_table(RunView.read(journal_run)), "time<2026")


def test_sorting_puts_nulls_last_both_ways_and_keeps_the_order_of_equals(
    table: pa.Table,
) -> None:
    assert kept(order_by(table, "veer_pct")) == [2, 5, 0, 6, 1, 4, 3]
    assert kept(order_by(table, "-veer_pct")) == [4, 1, 0, 6, 5, 2, 3]
    assert kept(order_by(table, "lr")) == [0, 1, 3, 4, 5, 6, 2]


def test_selection_filters_sorts_and_chooses(table: pa.Table) -> None:
    chosen = select(
        table,
        columns=["trial", "lr", "trial"],
        conditions=["state=complete", "veer_pct<=12"],
        sort="-trial",
    )
    assert chosen.column_names == ["trial", "param.training.lr"]
    assert kept(chosen) == [6, 5, 0]
    assert select(table).equals(table)


def test_a_name_that_fits_several_parameters_is_ambiguous() -> None:
    table = pa.table({"param.student.dim": [1], "param.teacher.dim": [2]})
    with pytest.raises(ConfigError, match=r"'dim' is ambiguous: param\.student\.dim"):
        resolve_column(table, "dim")


def test_comparisons_agree_with_python(table: pa.Table) -> None:
    veers = [(row["trial"], row["veer_pct"]) for row in table.to_pylist() if row["veer_pct"]]
    assert kept(where(table, "veer_pct<12.0")) == [trial for trial, veer in veers if veer < 12]
    assert kept(where(table, "veer_pct>=12.0")) == [trial for trial, veer in veers if veer >= 12]


@pytest.mark.parametrize("condition", ["trial = 0", "trial != null"])
def test_a_table_without_rows_stays_one(table: pa.Table, condition: str) -> None:
    assert select(table.slice(0, 0), conditions=[condition]).num_rows == 0
