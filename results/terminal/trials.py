"""The table of a run's trials in the terminal, with as many columns as fit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from results.analysis.remarks import WARNING, run_remarks
from results.analysis.run_view import RunView
from results.tables.schema import PARAM_PREFIX
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
from results.terminal.grid import GridColumn, fitted, grid
from results.terminal.listing import CURVE, TIED, Listing, trial_listing
from results.terminal.sparklines import Curve, CurveScale, curve_scale, veer_curves
from spaces.files.visible import visible

# Columns left out on a narrow screen, the first one first: what is measured beside the VEER
# (`LEAST_FIRST`), the varied parameters after the first `KEPT_VARIED` from the last one on,
# `LESS_THAN_VARIED`, the other varied parameters, `LESS_THAN_REST`.
LEAST_FIRST = (
    "best_epoch",
    "teacher_cosine",
    "distill_share",
    "last_veer_pct",
    "median_veer_pct",
    CURVE,
)
KEPT_VARIED = 3
LESS_THAN_VARIED = ("meets", "speed_ratio")
LESS_THAN_REST = ("repeat_mean_pct", "epochs", "rank")
NO_INTERVAL = "VEER %"
WITH_INTERVAL = "VEER % (95 %)"


def trials_view(
    view: RunView,
    rows: pa.Table | None = None,
    width: int | None = None,
    *,
    shows_all: bool = False,
) -> Table:
    """Return the table of trials: the teacher first, then the trials by rank.

    Args:
        view: The run; remarks on it are the start of the caption.
        rows: The rows of the trials table to show; by default all.
        width: As in `listing_view`.
        shows_all: Whether repeats and controls have lines of their own.
    """
    table = trials_table(view) if rows is None else rows
    listing = trial_listing(table, view.teacher, run_remarks(view), is_folded=not shows_all)
    return listing_view(listing, width, veer_curves(view.histories))


def listing_view(
    listing: Listing, width: int | None = None, curves: Mapping[int, Curve] | None = None
) -> Table:
    """Return a listing as a table.

    Args:
        listing: The list of trials.
        width: Characters of the screen. The least important columns are left out to fit it, and
            named in the caption.
        curves: VEER by epoch and trial, from `veer_curves`; None for no curves.
    """
    # Only the shown trials: others would stretch the common scale.
    shown = {row_run(row) for row in listing.rows}
    scale = curve_scale({run: curve for run, curve in (curves or {}).items() if run in shown})
    columns = trial_columns(listing, curves or {}, scale)
    kept, left_out = fitted(columns, _spare(listing), width)
    lines = list(listing.remarks)
    if scale is not None and any(column.name == CURVE for column in kept):
        lines.append(scale.meaning)
    if left_out:
        lines.append(_left_out_in_words(left_out, width))
    view = grid(kept, [row_style(row) for row in listing.rows], width)
    if lines:
        view.caption = Text("\n").join(
            Text(visible(line), f"bold {NOTE_STYLE}" if line.startswith(WARNING) else "dim")
            for line in lines
        )
        # Rich prints captions dim and in italics, which would weaken a warning.
        view.caption_style = ""
    return view


def trial_columns(
    listing: Listing, curves: Mapping[int, Curve], scale: CurveScale | None
) -> list[GridColumn]:
    """Return the columns, with VEER and interval in one cell, repeats in one, and the curve.

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
                made.append(replace(column, cells=[trial_text(row) for row in rows]))
            case "veer_pct":
                made.append(_veer_column(rows))
            case "repeat_mean_pct":
                texts = [repeats_text(row) for row in rows]
                made.append(replace(column, cells=texts, is_numeric=False))
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
    low, high = row.get("veer_low_pct"), row.get("veer_high_pct")
    text = "" if low is None or high is None else f"({low:.1f}-{high:.1f})"
    is_tied = row.get("is_tied") and row.get("rank") != 1
    return f"{text} {TIED}".lstrip() if is_tied else text


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


def _veer_column(rows: Sequence[TableRow]) -> GridColumn:
    """Return the column of VEERs and intervals, in one cell so that they stay together.

    VEERs are aligned to the right and intervals to the left, so that both can be compared.
    """
    veers = [cell("veer_pct", row.get("veer_pct")) for row in rows]
    intervals = [interval_text(row) for row in rows]
    width = max(map(cell_len, [NO_INTERVAL, *veers]))
    texts = [
        f"{veer.rjust(width)} {interval}".rstrip()
        for veer, interval in zip(veers, intervals, strict=True)
    ]
    heading = WITH_INTERVAL if any("(" in each for each in intervals) else NO_INTERVAL
    indent = " " * (width - len(NO_INTERVAL))
    return GridColumn(name="veer_pct", heading=indent + heading, cells=texts)


def _left_out_in_words(left_out: Sequence[str], width: int | None) -> str:
    """Return which columns did not fit; --columns cannot show the curve, which is no column."""
    names = [name.removeprefix(PARAM_PREFIX) for name in left_out if name != CURVE]
    parts = [f"{', '.join(names)} (--columns shows them)"] if names else []
    if CURVE in left_out:
        parts.append("curve (a wider screen shows it)")
    return f"left out to fit {width} characters: {'; '.join(parts)}"


def _line(row: TableRow, curves: Mapping[int, Curve], scale: CurveScale) -> str:
    run = row_run(row)
    return "" if run is None or run not in curves else scale.line(curves[run])


def _before_curve(names: Sequence[str]) -> str:
    """Return the name of the column before the curve."""
    return "speed_ratio" if "speed_ratio" in names else "num_params"


def _spare(listing: Listing) -> list[str]:
    """Return the columns that may be left out, the first one first."""
    varied = [name for name in listing.varied if name != PRESET_COLUMN]
    first, more = varied[:KEPT_VARIED], varied[KEPT_VARIED:]
    return [
        *LEAST_FIRST, *reversed(more), *LESS_THAN_VARIED, *reversed(first), *LESS_THAN_REST,
    ]  # fmt: skip
