"""The documented columns are the tables' columns."""

from results.tables.schema import EPOCH_COLUMNS, TRIAL_COLUMNS, arrow_schema
from tests.docs_pages.tables import TABLES_PAGE, tables_page
from trainable.report.epoch_report import EpochReport


def test_the_page_is_that_of_the_schema() -> None:
    assert TABLES_PAGE.read_text() == tables_page(), "run: python -m tests.docs_pages.tables"


def test_every_column_has_a_meaning_and_quantities_a_unit() -> None:
    for column in (*TRIAL_COLUMNS, *EPOCH_COLUMNS):
        assert column.meaning.endswith("."), column.name
        if column.name.endswith("_pct"):
            assert column.unit == "%"
        if column.name.endswith("_s") and not column.name.endswith("per_s"):
            assert column.unit == "s"


def test_every_field_of_an_epochs_report_has_a_column() -> None:
    fields = set(EpochReport.model_fields)
    assert {column.name for column in EPOCH_COLUMNS} == fields | {"trial", "num_params", "time"}


def test_metadata_reaches_arrow() -> None:
    field = arrow_schema(EPOCH_COLUMNS).field("train_s")
    assert field.metadata == {b"unit": b"s", b"meaning": b"Training time."}
