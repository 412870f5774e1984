"""The last part of docs/tables.md: how to read the tables in Python, and example queries.

Each query is a file in docs/queries, whose first line is a comment with the question it answers.
"""

from pathlib import Path

QUERIES = Path(__file__).parents[2] / "docs" / "queries"
SEVERAL_RUNS = "several-runs"
COMMENT = "-- "


def queries_section() -> list[str]:
    """Return the Markdown lines on reading the tables and on the queries."""
    return [
        "## Reading the tables",
        "",
        "A search writes both files when it ends. `veer trials RUN` rewrites them at any time,",
        "also while the search runs. Each file is replaced in one step, so a reader gets either",
        "the old or the new one.",
        "",
        "```python",
        'pandas.read_parquet("runs/first/trials.parquet", dtype_backend="pyarrow")',
        'polars.read_parquet("runs/first/epochs.parquet")',
        "duckdb.sql(\"FROM 'runs/first/trials.parquet' WHERE rank <= 3\")",
        "```",
        "",
        "Without `dtype_backend`, pandas converts whole numbers with nulls to floats.",
        "",
        "## Ten queries",
        "",
        "For DuckDB, in the run's folder (`cd RUN; duckdb < FILE`). The files are in",
        "[queries](queries), and all of them are tested. Some name a sampled parameter: replace",
        "it by one of your space. Rows with `same_as` repeat the values of another trial and are",
        "left out; follow-ups (`follow_up`) have no rank.",
        "",
        *(line for path in sorted(QUERIES.glob("[0-9]*.sql")) for line in _shown(path)),
        "## Several runs at once",
        "",
        "With `union_by_name`, a parameter that only one space has is null in the rows of the",
        "other runs; `filename` names the run of a row.",
        "",
        *_shown(QUERIES / f"{SEVERAL_RUNS}.sql"),
    ]


def _shown(path: Path) -> list[str]:
    """Return the first line of a query, a comment, as text, and the rest as code."""
    question, *code = path.read_text(encoding="utf-8").splitlines()
    return [question.removeprefix(COMMENT), "", "```sql", *code, "```", ""]
