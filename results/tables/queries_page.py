"""The queries of docs/tables.md, each from a file of docs/queries: what it answers, the SQL."""

from pathlib import Path

QUERIES = Path(__file__).parents[2] / "docs" / "queries"
SEVERAL_RUNS = "several-runs"
COMMENT = "-- "


def queries_section() -> list[str]:
    """Markdown lines: how to read the tables elsewhere, and the queries."""
    return [
        "## Reading them",
        "",
        "A search writes both when it ends. `veer trials RUN` writes them anew at any time, also",
        "while the search runs; whoever reads the files meanwhile has the old or the new ones.",
        "",
        "```python",
        'pandas.read_parquet("runs/first/trials.parquet", dtype_backend="pyarrow")',
        'polars.read_parquet("runs/first/epochs.parquet")',
        "duckdb.sql(\"FROM 'runs/first/trials.parquet' WHERE rank <= 3\")",
        "```",
        "",
        "Without `dtype_backend`, pandas makes whole numbers with nulls floats.",
        "",
        "## Ten queries",
        "",
        "For DuckDB, in the run's folder (`cd RUN; duckdb < FILE`); the files are in",
        "[queries](queries), and all of them are tested. Some name a sampled parameter: put one",
        "of your space in its place. Rows with `same_as` share another trial's figures, and are",
        "left out; follow-ups (`follow_up`) have no rank.",
        "",
        *(line for path in sorted(QUERIES.glob("[0-9]*.sql")) for line in _shown(path)),
        "## Several runs at once",
        "",
        "`union_by_name` gives a parameter that only one space has a null in the other's rows;",
        "`filename` says which run a row is of.",
        "",
        *_shown(QUERIES / f"{SEVERAL_RUNS}.sql"),
    ]


def _shown(path: Path) -> list[str]:
    """A query's first line, a comment, as text, and the rest as code."""
    what, *code = path.read_text(encoding="utf-8").splitlines()
    return [what.removeprefix(COMMENT), "", "```sql", *code, "```", ""]
