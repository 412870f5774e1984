"""The table of the front of a run with several goals."""

from rich.table import Table

from results.analysis.front_volume import front_volume
from results.analysis.run_view import RunView
from results.journal.goals import GOAL_NAMES, VEER, Goal
from results.tables.trials import trials_table
from results.terminal.cells import cell
from results.terminal.listing import Listing
from results.terminal.trials import listing_view

# The column of each cost.
COST_COLUMNS: dict[Goal, str] = {
    "cpu_latency": "cpu_latency",
    "params": "num_params",
    "macs": "macs",
}


def front_view(view: RunView, width: int | None = None) -> Table | None:
    """Return the table of the front by ascending VEER; None where there is none."""
    rows = {row["trial"]: row for row in trials_table(view).to_pylist() if row["on_front"]}
    if not rows:
        return None
    costs = [COST_COLUMNS[goal] for goal in view.goals if goal != VEER]
    columns = ["trial", "veer_pct", *costs, "repeat_mean_pct", "epochs", "state"]
    if not any(row["repeat_mean_pct"] is not None for row in rows.values()):
        columns.remove("repeat_mean_pct")
    ordered = [{**rows[trial.trial], "rank": None, "is_tied": None} for trial in view.front]
    listing = Listing(rows=ordered, columns=columns, varied=[], remarks=front_remarks(view))
    table = listing_view(listing, width)
    table.title = "the front"
    return table


def front_remarks(view: RunView) -> list[str]:
    """Return lines on what the front is, and on the volume that it dominates; none without one."""
    if not view.front:
        return []
    goals = " and ".join(GOAL_NAMES[goal] for goal in view.goals)
    counts = f"{len(view.front)} of {len(view.ranked)} trials"
    lines = [f"the front: {counts}, which no other beats in {goals}"]
    volume = front_volume(view.own, view.records, view.goals)
    if volume is not None:
        columns: dict[str, str] = {"veer": "veer_pct"}
        columns |= {str(goal): column for goal, column in COST_COLUMNS.items()}
        upto = ", ".join(
            f"{GOAL_NAMES[goal]} {cell(columns[goal], volume.reference[goal])}"
            for goal in view.goals
        )
        lines.append(
            f"it dominates {volume.shares[-1]:.4f} of the volume from 0 to {upto} (chance, and "
            "the highest of all trials)"
        )
    return lines
