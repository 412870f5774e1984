"""The trial table's rows and columns, before a width is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from results.journal.journal import Record
from results.tables.schema import NO_EFFECT_COSINE, NO_EFFECT_SHARE, PARAM_PREFIX
from results.terminal.cells import TEACHER_ROW, TableRow, fold_constant, in_words

NO_EFFECT = "no effect"


NO_EFFECT_MEANS = (
    "no effect: distillation did nothing (distill share below "
    f"{NO_EFFECT_SHARE:.0%}, or the complete trial's teacher cosine below {NO_EFFECT_COSINE:g})"
)


TIED = "≈"


TIED_MEANS = (
    f"{TIED}: cannot be distinguished from the first in rank: the 95 % interval of the difference "
    "has 0 in it"
)


FOLLOW_UP_MEANS = {
    "repeat": "repeat N: trial N is the one above it with another seed; it has no rank",
    "control": "control N: trial N is the one above it, stopped early, run to its last epoch; it "
    "has no rank",
}


SAME_AS_MEANS = "= N: the same config as trial N by other values, so it was not run again"


# In the order in which they matter; what varied comes before what is behind `CURVE`.
CURVE = "curve"


FIRST_COLUMNS = (
    "rank",
    "trial",
    "veer_pct",
    "meets",
    "median_veer_pct",
    "last_veer_pct",
    "repeat_mean_pct",
    "epochs",
    "state",
    "num_params",
    "speed_ratio",
    CURVE,
)


LAST_COLUMNS = ("distill_share", "teacher_cosine", "best_epoch", "note")


# Left out where no row has a value.
OPTIONAL = frozenset(
    {"meets", "repeat_mean_pct", "speed_ratio", CURVE, "distill_share", "teacher_cosine", "note"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The trials as a person wants them: the teacher first, then what matters and what varied.

    Attributes:
        rows: A row a trial, with a `note`.
        columns: Which of their values to show, in this order.
        varied: Those of them that are sampled parameters.
        remarks: What is said below, a line each.
    """

    rows: list[TableRow]
    columns: list[str]
    varied: list[str]
    remarks: list[str]


def trial_listing(
    table: pa.Table, teacher: Record | None = None, remarks: Sequence[str] = ()
) -> Listing:
    """What a list of trials shows.

    Args:
        table: As `trials_table` makes it, maybe with fewer rows.
        teacher: The journal's `teacher` record; unknown figures are None.
        remarks: As `run_remarks` makes them; they come before others.
    """
    params = [name for name in table.column_names if name.startswith(PARAM_PREFIX)]
    rows = _follow_ups_below(trial_rows(table))
    varied, constant = fold_constant(rows, params)
    for row in rows:
        # Why a trial was stopped early stands in `veer show`: the epochs tell it here.
        reason = row["reason"] if row["state"] in ("failed", "diverged") else None
        row["note"] = NO_EFFECT if row["distill_has_no_effect"] else reason
    columns = [
        name
        for name in (*FIRST_COLUMNS, *varied, *LAST_COLUMNS)
        if name not in OPTIONAL or any(row.get(name) is not None for row in rows)
    ]
    lines = [*remarks, *_explanations(rows, constant)]
    if teacher is not None:
        fields = {name: teacher[name] for name in ("veer_pct", "num_params")}
        rows = [{"trial": TEACHER_ROW, **fields}, *rows]
    return Listing(rows=rows, columns=columns, varied=varied, remarks=lines)


def _follow_ups_below(rows: Sequence[TableRow]) -> list[TableRow]:
    """The rows in their order, each follow-up below the trial that it follows, if that is there.

    They have no rank: they say how far the rank of another trial is to be trusted.
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
        if after is None or after != run:  # behind the other names of its run
            placed += below.pop(run, [])
    return placed


def _explanations(rows: Sequence[TableRow], constant: TableRow) -> list[str]:
    """What the trials have in common, and what marks in their rows mean."""
    lines = []
    if constant:
        lines.append(f"in every trial: {in_words(constant)}")
    if any(row["is_tied"] and row["rank"] != 1 for row in rows):
        lines.append(TIED_MEANS)
    lines += [FOLLOW_UP_MEANS[kind] for kind in FOLLOW_UP_MEANS if _has(rows, kind)]
    if any(row["same_as"] is not None for row in rows):
        lines.append(SAME_AS_MEANS)
    if any(row["note"] == NO_EFFECT for row in rows):
        lines.append(NO_EFFECT_MEANS)
    return lines


def _has(rows: Sequence[TableRow], follow_up: str) -> bool:
    return any(row["follow_up"] == follow_up for row in rows)


def trial_rows(table: pa.Table) -> list[TableRow]:
    """The rows of a trial table; one that shares trial 3's run is called `= 3`."""
    rows: list[TableRow] = table.to_pylist()
    for row in rows:
        if row["same_as"] is not None:
            row["trial"] = f"= {row['same_as']}"
    return rows
