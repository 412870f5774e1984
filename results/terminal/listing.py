"""The rows, columns and remarks of the list of trials, independent of the screen's width.

`trial_listing` makes a `Listing` from the trials table; `results.terminal.trials` draws it, and
the HTML report uses it too. The constants are the marks in its rows and their meanings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from results.analysis.influence import by_influence
from results.records.search_records import TeacherRecord
from results.tables.schema import PARAM_PREFIX
from results.tables.trial_row import NO_EFFECT_COSINE, NO_EFFECT_SHARE
from results.terminal.cells import TEACHER_ROW, TableRow, cell, fold_constant, in_words

NO_EFFECT = "no effect"
NO_EFFECT_MEANS = (
    "no effect: distillation did nothing (distill share below "
    f"{NO_EFFECT_SHARE:.0%}, or the complete trial's teacher cosine below {NO_EFFECT_COSINE:g})"
)
TIED = "≈"
TIED_MEANS = (
    f"{TIED}: cannot be distinguished from the first in rank: the 95 % interval of the difference "
    "includes 0"
)
FOLLOW_UP_MEANS = {
    "repeat": "repeat N: trial N is the one above it with another seed; it has no rank",
    "control": "control N: trial N is the one above it, stopped early, run again to its last "
    "epoch; it has no rank",
}
SAME_AS_MEANS = "= N: the same config as trial N from other values, so it was not run again"
# The name of the column of curves, which the trials table itself does not have.
CURVE = "curve"
# These, then what was sampled and varies, that with the most influence first, then what is
# measured beside it.
FIRST_COLUMNS = ("rank", "trial", "on_front", "veer_pct", "decision_pct", "repeat_mean_pct")
LAST_COLUMNS = (
    "state",
    "epochs",
    "num_params",
    "cpu_latency",
    "macs",
    "speed_ratio",
    CURVE,
    "meets",
    "median_veer_pct",
    "last_veer_pct",
    "distill_share",
    "teacher_cosine",
    "best_epoch",
    "note",
)
# Left out where no row has a value.
OPTIONAL = frozenset(
    {
        "cpu_latency",
        "decision_pct",
        "macs",
        "meets",
        "repeat_mean_pct",
        "speed_ratio",
        CURVE,
        "distill_share",
        "teacher_cosine",
        "note",
        "on_front",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The list of trials: the teacher first, then the trials by rank.

    Attributes:
        rows: One row for each trial: the columns of the trials table, and a `note`.
        columns: Names of the columns to show, in this order.
        varied: Those of them that are sampled parameters.
        remarks: Lines to show below the list.
    """

    rows: list[TableRow]
    columns: list[str]
    varied: list[str]
    remarks: list[str]


def trial_listing(
    table: pa.Table,
    teacher: TeacherRecord | None = None,
    remarks: Sequence[str] = (),
    *,
    is_folded: bool = False,
) -> Listing:
    """Return the list of trials.

    Args:
        table: The trials table, or some of its rows.
        teacher: The journal's `teacher` record, whose unknown values are None.
        remarks: Lines of `run_remarks`, shown before the explanations of marks.
        is_folded: Whether a follow-up has no row of its own where the trial that it follows has
            one: the mean of repeats is in that row anyway, and a control becomes its note.
    """
    params = [name for name in table.column_names if name.startswith(PARAM_PREFIX)]
    rows = _follow_ups_below(trial_rows(table))
    varied, constant = fold_constant(rows, params)
    varied = by_influence(varied, rows)
    for row in rows:
        # For a trial that was stopped early the number of epochs is enough; `veer show` has more.
        reason = row["reason"] if row["state"] in ("failed", "diverged") else None
        row["note"] = NO_EFFECT if row["distill_has_no_effect"] else reason
    rows, num_folded = _folded(rows) if is_folded else (rows, 0)
    columns = [
        name
        for name in (*FIRST_COLUMNS, *varied, *LAST_COLUMNS)
        if name not in OPTIONAL or any(row.get(name) is not None for row in rows)
    ]
    lines = [*remarks, *_explanations(rows, constant)]
    if num_folded:
        lines.append(
            f"{num_folded} repeats and controls are in the lines of their trials; --all gives "
            "each a line"
        )
    if teacher is not None:
        shown = {"veer_pct": teacher.veer_pct, "num_params": teacher.num_params}
        rows = [{"trial": TEACHER_ROW, **shown}, *rows]
    return Listing(rows=rows, columns=columns, varied=varied, remarks=lines)


def trial_rows(table: pa.Table) -> list[TableRow]:
    """Return the rows of the trials table, with `= 3` as the trial where it shares that run."""
    rows: list[TableRow] = table.to_pylist()
    for row in rows:
        if row["same_as"] is not None:
            row["trial"] = f"= {row['same_as']}"
    return rows


def _follow_ups_below(rows: Sequence[TableRow]) -> list[TableRow]:
    """Return the rows with each follow-up below the trial that it follows, if that is there.

    Follow-ups have no rank; they show how far the rank of another trial can be trusted.
    """
    numbers = {row["trial"] for row in rows if row["same_as"] is None}
    below: dict[int, list[TableRow]] = {}
    for row in rows:
        if row["follow_up"] and row["follows"] in numbers:
            below.setdefault(row["follows"], []).append(row)
    placed = []
    for number, row in enumerate(rows):
        if row["follow_up"] and row["follows"] in numbers:
            continue
        placed.append(row)
        run = row["trial"] if row["same_as"] is None else row["same_as"]
        after = rows[number + 1]["same_as"] if number + 1 < len(rows) else None
        if after is None or after != run:  # after the rows that share its run
            placed += below.pop(run, [])
    return placed


def _folded(rows: Sequence[TableRow]) -> tuple[list[TableRow], int]:
    """Return the rows without follow-ups of trials that are there, and the number left out."""
    own = {row["trial"]: row for row in rows if row["same_as"] is None and not row["follow_up"]}
    kept = []
    for row in rows:
        trial = own.get(row["follows"]) if row["follow_up"] else None
        if trial is None:
            kept.append(row)
        elif row["follow_up"] == "control" and row["veer_pct"] is not None:
            control = f"control {row['trial']}: {cell('veer_pct', row['veer_pct'])} %"
            trial["note"] = f"{trial['note']}; {control}" if trial["note"] else control
    return kept, len(rows) - len(kept)


def _explanations(rows: Sequence[TableRow], constant: TableRow) -> list[str]:
    """Return lines on what all trials have in common, and on the meaning of marks in the rows."""
    lines = []
    if constant:
        lines.append(f"in every trial: {in_words(constant)}")
    if any(row["is_tied"] and row["rank"] != 1 for row in rows):
        lines.append(TIED_MEANS)
    lines += [FOLLOW_UP_MEANS[kind] for kind in FOLLOW_UP_MEANS if _has(rows, kind)]
    if any(row["same_as"] is not None for row in rows):
        lines.append(SAME_AS_MEANS)
    if any((row["note"] or "").startswith(NO_EFFECT) for row in rows):
        lines.append(NO_EFFECT_MEANS)
    return lines


def _has(rows: Sequence[TableRow], follow_up: str) -> bool:
    return any(row["follow_up"] == follow_up for row in rows)
