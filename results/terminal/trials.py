"""The table of a run's trials in the terminal, with as many columns as fit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from results.analysis.faults import counted
from results.analysis.remarks import WARNING, run_remarks
from results.analysis.run_view import RunView
from results.tables.trials import trials_table
from results.terminal.cells import (
    MISSING,
    NOTE_STYLE,
    PRESET_COLUMN,
    TableRow,
    cell,
    plain_columns,
    row_style,
)
from results.terminal.grid import GridColumn, fitted, grid, grid_or_blocks
from results.terminal.listing import CURVE, TIED, Listing, trial_listing
from results.terminal.sparklines import Curve, CurveScale, curve_scale, veer_curves
from spaces.files.visible import visible

INTERVAL = "veer_interval"
# What is measured beside the VEER, the most important first. Whatever does not fit the screen is
# left out from the end, and all of it before any sampled value.
MEASURED = (
    INTERVAL,
    "repeat_mean_pct",
    "on_front",
    "cpu_latency",
    "speed_ratio",
    "num_params",
    "macs",
    "state",
    "note",
    "decision_pct",
    "meets",
    "epochs",
    "rank",
    CURVE,
    "median_veer_pct",
    "last_veer_pct",
    "distill_share",
    "teacher_cosine",
    "best_epoch",
)
ALL_COLUMNS = "--all-columns"


def trials_view(
    view: RunView,
    rows: pa.Table | None = None,
    width: int | None = None,
    *,
    shows_all: bool = False,
    has_all_columns: bool = False,
) -> RenderableType:
    """Return the table of trials: the teacher first, then the trials by rank.

    Args:
        view: The run; remarks on it are the start of the caption.
        rows: The rows of the trials table to show; by default all.
        width: As in `listing_view`.
        shows_all: Whether repeats and controls have lines of their own.
        has_all_columns: Whether no column is left out: a screen too narrow for all shows each
            trial as a block of lines.
    """
    table = trials_table(view) if rows is None else rows
    listing = trial_listing(table, view.teacher, run_remarks(view), is_folded=not shows_all)
    curves = veer_curves(view.histories)
    if not has_all_columns:
        return listing_view(listing, width, curves)
    scale = _scale(listing, curves)
    lines = [*listing.remarks, *([] if scale is None else [scale.meaning])]
    columns = trial_columns(listing, curves, scale)
    styles = [row_style(row) for row in listing.rows]
    return Group(grid_or_blocks(columns, styles, width, key="trial"), _lines_below(lines))


def listing_view(
    listing: Listing, width: int | None = None, curves: Mapping[int, Curve] | None = None
) -> Table:
    """Return a listing as a table.

    Args:
        listing: The list of trials.
        width: Characters of the screen. The least important columns are left out to fit it; the
            caption has their number, and the notes if these are among them.
        curves: VEER by epoch and trial, from `veer_curves`; None for no curves.
    """
    scale = _scale(listing, curves or {})
    columns = trial_columns(listing, curves or {}, scale)
    kept, left_out = fitted(columns, _spare(listing), width)
    lines = list(listing.remarks)
    if scale is not None and any(column.name == CURVE for column in kept):
        lines.append(scale.meaning)
    if "note" in left_out:
        left_out.remove("note")
        lines += _notes(listing.rows)
    if left_out:
        lines.append(left_out_line(len(left_out), "veer trials"))
    view = grid(kept, [row_style(row) for row in listing.rows], width)
    if lines:
        view.caption = _lines_below(lines)
        # Rich prints captions dim and in italics, which would weaken a warning.
        view.caption_style = ""
    return view


def left_out_line(number: int, command: str) -> str:
    """Return the line on columns that did not fit the screen, with the command that has them."""
    return f"{counted(number, 'column')} left out: {command} {ALL_COLUMNS}"


def _lines_below(lines: Sequence[str]) -> Text:
    return Text("\n").join(
        Text(visible(line), f"bold {NOTE_STYLE}" if line.startswith(WARNING) else "dim")
        for line in lines
    )


def _scale(listing: Listing, curves: Mapping[int, Curve]) -> CurveScale | None:
    # Only the shown trials: others would stretch the common scale.
    shown = {row_run(row) for row in listing.rows}
    return curve_scale({run: curve for run, curve in curves.items() if run in shown})


def _notes(rows: Sequence[TableRow]) -> list[str]:
    """Return the notes as lines, each once with its trials."""
    trials: dict[str, list[str]] = {}
    for row in rows:
        if row.get("note"):
            trials.setdefault(row["note"], []).append(cell("trial", row["trial"]))
    return [
        f"trial{'s' * (len(those) > 1)} {', '.join(those)}: {note}"
        for note, those in trials.items()
    ]


def trial_columns(
    listing: Listing, curves: Mapping[int, Curve], scale: CurveScale | None
) -> list[GridColumn]:
    """Return the columns, with the interval beside the VEER, repeats in one cell, and the curve.

    Args:
        listing: The list of trials.
        curves: VEER in percent by epoch and trial.
        scale: Scale of the curves; None for no column of curves.
    """
    rows, made = listing.rows, []
    names = [name for name in listing.columns if name != CURVE]
    for column in plain_columns(rows, names):
        match column.name:
            case "trial":
                made.append(_with_cells(column, [trial_text(row) for row in rows]))
            case "veer_pct":
                made += _veer_columns(column, rows)
            case "repeat_mean_pct":
                texts = [repeats_text(row) for row in rows]
                made.append(replace(_with_cells(column, texts), is_numeric=False))
            case _:
                made.append(column)
        if column.name == _before_curve(names) and scale is not None:
            lines = [_line(row, curves, scale) for row in rows]
            made.append(GridColumn(name=CURVE, heading=CURVE, cells=lines))
    return made


def trial_text(row: TableRow) -> str:
    """Return the number of a trial, with its kind if it is a follow-up: `repeat 12`."""
    number = cell("trial", row["trial"])
    kind = row.get("follow_up")
    return f"{cell('', kind)} {number}" if kind else number


def interval_text(row: TableRow) -> str:
    """Return the 95 % interval of the VEER, `(8.1-11.2)`, with a mark on a tie with the best."""
    return f"{_interval(row)} {_tie(row)}".strip()


def repeats_text(row: TableRow) -> str:
    """Return mean, standard deviation and number of the repeats: `9.61 ± 0.12 (3)`."""
    mean, spread = row.get("repeat_mean_pct"), row.get("repeat_sd_pct")
    if mean is None:
        return MISSING
    of_one = cell("repeat_mean_pct", mean)
    text = of_one if spread is None else f"{of_one} ± {cell('repeat_sd_pct', spread)}"
    return f"{text} ({cell('', row.get('num_repeats'))})"


def row_run(row: TableRow) -> int | None:
    """Return the number of the trial whose run a row shows; None for the teacher's row."""
    run = row.get("same_as")
    # "teacher" and `= 3` are texts in the column of numbers.
    run = row["trial"] if run is None else run
    return run if isinstance(run, int) else None


def _veer_columns(veer: GridColumn, rows: Sequence[TableRow]) -> list[GridColumn]:
    """Return the column of VEERs, with a mark on ties, and that of the intervals, if any.

    VEERs are aligned to the right and intervals to the left, so that both can be compared.
    """
    width = max(map(cell_len, [veer.heading, *veer.cells]))
    texts = [
        f"{text.rjust(width)} {_tie(row)}".rstrip()
        for text, row in zip(veer.cells, rows, strict=True)
    ]
    indent = " " * (width - len(veer.heading))
    heading = indent + veer.heading
    made = [replace(_with_cells(veer, texts), heading=heading, is_numeric=False)]
    intervals = [_interval(row) for row in rows]
    if any(intervals):
        made.append(GridColumn(name=INTERVAL, heading="(95 %)", cells=intervals))
    return made


def _with_cells(column: GridColumn, cells: Sequence[str]) -> GridColumn:
    """Return the column with other texts, which have no short form."""
    return replace(column, cells=cells, short_cells=None)


def _interval(row: TableRow) -> str:
    low, high = row.get("veer_low_pct"), row.get("veer_high_pct")
    return "" if low is None or high is None else f"({low:.1f}-{high:.1f})"


def _tie(row: TableRow) -> str:
    return TIED if row.get("is_tied") and row.get("rank") != 1 else ""


def _line(row: TableRow, curves: Mapping[int, Curve], scale: CurveScale) -> str:
    run = row_run(row)
    return "" if run is None or run not in curves else scale.line(curves[run])


def _before_curve(names: Sequence[str]) -> str:
    """Return the name of the column before the curve."""
    return "speed_ratio" if "speed_ratio" in names else "num_params"


def _spare(listing: Listing) -> list[str]:
    """Return the columns that may be left out, the first one first."""
    varied = [name for name in listing.varied if name != PRESET_COLUMN]
    return [*reversed(MEASURED), *reversed(varied)]
