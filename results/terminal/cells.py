"""Tables for the terminal."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from results.tables.schema import PARAM_PREFIX
from results.terminal.grid import GridColumn, fitted, grid
from spaces.files.visible import visible

HEADINGS = {
    "veer_pct": "VEER %",
    "last_veer_pct": "last\nVEER %",
    "median_veer_pct": "median\nof last 5",
    "repeat_mean_pct": "repeats\nmean ± sd (n)",
    "best_epoch": "best\nepoch",
    "num_params": "parameters",
    "distill_share": "distill\nshare",
    "teacher_cosine": "teacher\ncosine",
    "duration_s": "time s",
    "latency_median_ms": "median\nms",
    "latency_p95_ms": "p95\nms",
    "macs": "MMACs",
    "batch_size": "batch",
    "num_threads": "threads",
    "samples_per_s": "samples\n/s",
    "real_time_factor": "real-time\nfactor",
    "speed_ratio": "speed /\nteacher",
    "loss_total": "loss",
    "loss_classification": "classifi-\ncation",
    "loss_distillation": "distil-\nlation",
    "loss_reconstruction": "recon-\nstruction",
    "loss_stages": "stages",
    "classification_share": "classifi-\ncation\nshare",
    "reconstruction_share": "recon-\nstruction\nshare",
    "stage_shares": "stage\nshares",
    "train_accuracy_pct": "accuracy\n%",
    "train_s": "train s",
    "eval_s": "eval s",
    "peak_memory_mib": "memory\nMiB",
    "overhead_share": "over-\nhead\nshare",
    "eval_share": "eval\nshare",
}
COLUMN_DECIMALS = {
    "veer_pct": 2,
    "last_veer_pct": 2,
    "median_veer_pct": 2,
    "veer_low_pct": 2,
    "veer_high_pct": 2,
    "behind_pct": 2,
    "behind_low_pct": 2,
    "behind_high_pct": 2,
    "repeat_mean_pct": 2,
    "repeat_sd_pct": 2,
    "core_hours": 3,
    "gpu_hours": 3,
    "classification_share": 4,
    "distill_share": 4,
    "reconstruction_share": 4,
    "teacher_cosine": 3,
    "duration_s": 1,
    "train_s": 1,
    "eval_s": 1,
    "latency_median_ms": 2,
    "latency_p95_ms": 2,
    "samples_per_s": 0,
    "peak_memory_mib": 0,
    "overhead_share": 3,
    "eval_share": 3,
    "real_time_factor": 4,
    "speed_ratio": 2,
    "train_accuracy_pct": 2,
}


TableRow = dict[str, Any]

MISSING = "-"
TEACHER_ROW = "teacher"
# Names the row where a search tries presets, so no screen does without.
PRESET_COLUMN = f"{PARAM_PREFIX}preset"
WRAPPED = frozenset({"note", PRESET_COLUMN})
# Readable on dark and light ground, which yellow is not.
NOTE_STYLE = "magenta"
STYLES = {"stopped_early": "dim", "failed": "red", "diverged": "red"}
STATE_LABELS = {"stopped_early": "stopped early", "running": "unfinished"}


def benchmark_view(
    rows: Sequence[TableRow], columns: Sequence[str], width: int | None = None
) -> Table:
    """The rows of a benchmark, without what a screen of this width has no room for."""
    return fitted_view(rows, columns, ("real_time_factor", "samples_per_s", "macs"), width)[0]


def fitted_view(
    rows: Sequence[TableRow], columns: Sequence[str], spare: Sequence[str], width: int | None
) -> tuple[Table, list[str]]:
    """The table with as many columns as fit, and the names of the others.

    Args:
        rows: The rows.
        columns: What to show.
        spare: What may be left out, the first first.
        width: Characters there are; None for as many as it takes.
    """
    kept, left_out = fitted(plain_columns(rows, columns), spare, width)
    return grid(kept, width=width), left_out


def rows_view(rows: Sequence[TableRow], columns: Sequence[str]) -> Table:
    """Rows with the columns named, numbers to the right; nothing is cut off, only wrapped."""
    return grid(plain_columns(rows, columns), [row_style(row) for row in rows])


def plain_columns(rows: Sequence[TableRow], columns: Sequence[str]) -> list[GridColumn]:
    """The columns with each value by itself, as `cell` writes it."""
    named = headings(columns)
    return [
        GridColumn(
            name=name,
            heading=named[name],
            cells=[_text(name, row.get(name)) for row in rows],
            is_numeric=name == "trial"
            or all(
                isinstance(row.get(name), int | float) or row.get(name) in (None, TEACHER_ROW)
                for row in rows
            ),
            wraps=name in WRAPPED,
            style=NOTE_STYLE if name == "note" else "",
        )
        for name in columns
    ]


def row_style(row: TableRow) -> str:
    """How a trial's row stands out: the best, what equals it, what was stopped or failed."""
    if row.get("trial") == TEACHER_ROW:
        return "bold"
    if row.get("rank") == 1:
        return "bold green"
    if row.get("is_tied"):
        return "green"
    if row.get("follow_up"):
        return "dim"
    return STYLES.get(str(row.get("state")), "")


def fold_constant(rows: Sequence[TableRow], names: Sequence[str]) -> tuple[list[str], TableRow]:
    """Splits columns into those that vary, and those with one value in all of several rows."""
    if len(rows) < 2:
        return list(names), {}
    first = rows[0]
    constant = {
        name: first[name] for name in names if all(row[name] == first[name] for row in rows)
    }
    return [name for name in names if name not in constant], constant


def cell(name: str, value: object) -> str:
    """One value as text: counts with separators, others to the digits that matter."""
    match value:
        case None:
            return MISSING
        case bool():
            return "yes" if value else "no"
        case int() | float() if name == "macs":
            return f"{value / 1e6:,.1f}"
        case int() if name == "seed":
            return str(value)
        case int():
            return f"{value:,}"
        case float() if name in COLUMN_DECIMALS:
            return f"{value:,.{COLUMN_DECIMALS[name]}f}"
        case float():
            return f"{value:.4g}"
        case list() | tuple():
            return " ".join(cell("", item) for item in value)
        case _:
            return visible(str(value))


def in_words(values: TableRow) -> str:
    """Columns and their values in a line of text."""
    return ", ".join(
        f"{visible(name.removeprefix(PARAM_PREFIX))} {cell(name, value)}"
        for name, value in values.items()
    )


def heading(name: str) -> str:
    """A column's heading in one line."""
    return HEADINGS.get(name, name).replace("-\n", "").replace("\n", " ")


def headings(columns: Sequence[str]) -> dict[str, str]:
    """Headings by column; a parameter's is the end of its name where no other ends so."""
    ends = Counter(name.rpartition(".")[2] for name in columns)
    shown = {}
    for name in columns:
        end = name.rpartition(".")[2]
        short = end if ends[end] == 1 else name.removeprefix(PARAM_PREFIX)
        shown[name] = HEADINGS.get(name, visible(short).replace("_", "\n"))
    return shown


def _text(name: str, value: object) -> str:
    text = cell(name, value)
    if name == "note":
        return text if value else ""
    return STATE_LABELS.get(text, text) if name == "state" else text
