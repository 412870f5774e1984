"""Tables for the terminal."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from results.headings import DECIMALS, HEADINGS
from results.journal import Record
from results.remarks import WARNING
from results.schema import NO_EFFECT_COSINE, NO_EFFECT_SHARE, PARAM_PREFIX
from spaces.visible import visible

Row = dict[str, Any]

MISSING = "-"
TEACHER = "teacher"
NO_EFFECT = "no effect"
NO_EFFECT_MEANS = (
    "no effect: distillation did nothing (distill share below "
    f"{NO_EFFECT_SHARE:.0%}, or the complete trial's teacher cosine below {NO_EFFECT_COSINE:g})"
)
SAME_AS_MEANS = "= N: the same config as trial N by other values, so it was not run again"
NEVER_WRAPPED = ("trial", "model", "state", "veer_pct", "meets", "num_params")
# What a narrow screen does without, the first first; then the parameters, the last first, and the
# epochs.
LEAST_FIRST = ("best_epoch", "teacher_cosine", "last_veer_pct", "rank", "distill_share")
MEASURED_ON = 1000
# Names the row where a search tries presets, so no screen does without.
PRESET = f"{PARAM_PREFIX}preset"
STYLES = {"complete": "green", "stopped_early": "yellow", "failed": "red", "diverged": "red"}
STATE_WORDS = {"stopped_early": "stopped early", "running": "unfinished"}
MAIN_COLUMNS = (
    "rank",
    "trial",
    "state",
    "veer_pct",
    "meets",
    "best_epoch",
    "last_veer_pct",
    "epochs",
    "num_params",
    "distill_share",
    "teacher_cosine",
)
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The trials as a person wants them: the teacher first, then what matters and what varied.

    Attributes:
        rows: A row a trial, with a `note`.
        columns: Which of their values to show, in this order.
        varied: Those of them that are sampled parameters.
        remarks: What is said below, a line each.
    """

    rows: list[Row]
    columns: list[str]
    varied: list[str]
    remarks: list[str]


def trial_listing(
    table: pa.Table, teacher: Record | None = None, remarks: Sequence[str] = ()
) -> Listing:
    """What a list of trials shows; the arguments are those of `trials_view`."""
    params = [name for name in table.column_names if name.startswith(PARAM_PREFIX)]
    rows = trial_rows(table)
    shown, constant = fold_constant(rows, params)
    columns = [*MAIN_COLUMNS, *shown, "note"]
    for row in rows:
        # Why a trial was stopped early stands in `veer show`: the epochs tell it here.
        reason = row["reason"] if row["state"] in ("failed", "diverged") else None
        row["note"] = NO_EFFECT if row["distill_has_no_effect"] else reason
    for name in ("meets", "note"):
        if not any(row[name] for row in rows):
            columns.remove(name)
    lines = [*remarks, *_explanations(rows, constant)]
    if teacher is not None:
        fields = {name: teacher[name] for name in ("veer_pct", "num_params")}
        rows = [{"trial": TEACHER, **fields}, *rows]
    return Listing(rows=rows, columns=columns, varied=shown, remarks=lines)


def trials_view(
    table: pa.Table,
    teacher: Record | None = None,
    *,
    remarks: Sequence[str] = (),
    width: int | None = None,
) -> Table:
    """The trials as a person wants them: the teacher first, then what matters and what varied.

    Args:
        table: As `trials_table` makes it, maybe with fewer rows.
        teacher: The journal's `teacher` record; unknown figures are None.
        remarks: As `run_remarks` makes them; they open the caption.
        width: Characters of the screen. Where the table needs more, what matters least is left
            out and named below it.
    """
    listing = trial_listing(table, teacher, remarks)
    lines = listing.remarks
    varied = (name for name in reversed(listing.varied) if name != PRESET)
    spare = (*LEAST_FIRST, *varied, "epochs")
    view, left_out = fitted_view(listing.rows, listing.columns, spare, width)
    if left_out:
        names = ", ".join(name.removeprefix(PARAM_PREFIX) for name in left_out)
        lines.append(f"left out to fit {width} characters (--columns shows them): {names}")
    if lines:
        view.caption = Text("\n").join(
            Text(visible(line), "bold yellow" if line.startswith(WARNING) else "table.caption")
            for line in lines
        )
    return view


def _explanations(rows: Sequence[Row], constant: Row) -> list[str]:
    """What the trials have in common, and what marks in their rows mean."""
    lines = []
    if constant:
        lines.append(f"in every trial: {in_words(constant)}")
    if any(row["same_as"] is not None for row in rows):
        lines.append(SAME_AS_MEANS)
    if any(row["note"] == NO_EFFECT for row in rows):
        lines.append(NO_EFFECT_MEANS)
    return lines


def trial_rows(table: pa.Table) -> list[Row]:
    """The rows of a trial table; one that shares trial 3's run is called `= 3`."""
    rows: list[Row] = table.to_pylist()
    for row in rows:
        if row["same_as"] is not None:
            row["trial"] = f"= {row['same_as']}"
    return rows


def benchmark_view(rows: Sequence[Row], columns: Sequence[str], width: int | None = None) -> Table:
    """The rows of a benchmark, without what a screen of this width has no room for."""
    return fitted_view(rows, columns, ("real_time_factor", "samples_per_s", "macs"), width)[0]


def fitted_view(
    rows: Sequence[Row], columns: Sequence[str], spare: Sequence[str], width: int | None
) -> tuple[Table, list[str]]:
    """The table with as many columns as fit, and the names of the others.

    Args:
        rows: The rows.
        columns: What to show.
        spare: What may be left out, the first first.
        width: Characters there are; None for as many as it takes.
    """
    kept, left_out = list(columns), []
    spare = [name for name in spare if name in kept]
    view = rows_view(rows, kept)
    while width is not None and spare and Console(width=MEASURED_ON).measure(view).maximum > width:
        left_out.append(spare.pop(0))
        kept.remove(left_out[-1])
        view = rows_view(rows, kept)
    return view, left_out


def rows_view(rows: Sequence[Row], columns: Sequence[str]) -> Table:
    """Rows with the columns named, numbers to the right; nothing is cut off, only wrapped."""
    view = Table(
        box=box.SIMPLE_HEAD, caption_justify="left", pad_edge=False, collapse_padding=True
    )
    named = headings(columns)
    for name in columns:
        numeric = name == "trial" or all(
            isinstance(row.get(name), int | float) or row.get(name) in (None, TEACHER)
            for row in rows
        )
        justify: JustifyMethod = "right" if numeric else "left"
        view.add_column(
            Text(named[name]),
            justify=justify,
            overflow="fold",
            vertical="bottom",
            no_wrap=name in NEVER_WRAPPED,
        )
    for row in rows:
        style = "bold" if row.get("trial") == TEACHER else ""
        view.add_row(*(_styled(name, row.get(name)) for name in columns), style=style)
    return view


def fold_constant(rows: Sequence[Row], names: Sequence[str]) -> tuple[list[str], Row]:
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
        case float() if name in DECIMALS:
            return f"{value:,.{DECIMALS[name]}f}"
        case float():
            return f"{value:.4g}"
        case list() | tuple():
            return " ".join(cell("", item) for item in value)
        case _:
            return visible(str(value))


def sparkline(values: Sequence[float | None], width: int = 60) -> str:
    """A curve in one line of text, its lowest value a low bar; at most `width` bars.

    Longer curves are thinned evenly, first and last value kept; a missing value is a blank.
    """
    if len(values) > width:
        step = (len(values) - 1) / (width - 1)
        values = [values[round(index * step)] for index in range(width)]
    present = [value for value in values if value is not None]
    if not present:
        return ""
    low, span = min(present), max(present) - min(present)
    scale = (len(BARS) - 1) / span if span else 0.0
    return "".join(
        " " if value is None else BARS[round((value - low) * scale)] for value in values
    )


def in_words(values: Row) -> str:
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


def _styled(name: str, value: object) -> Text:
    text = cell(name, value)
    if name == "note":
        return Text(text if value else "", style="yellow")
    if name == "state":
        return Text(STATE_WORDS.get(text, text), style=STYLES.get(text, ""))
    return Text(text)
