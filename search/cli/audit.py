"""`veer audit`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from results.journal.decision import FIGURE_NAMES
from results.terminal.quoting import veer_command
from search.cli.console import console, print_for_programs

if TYPE_CHECKING:
    from results.audit.findings import Audit, ControlsAudit, Correlation, SeedsAudit

_NO_VALUE = "-"


def audit(
    run: Annotated[Path, typer.Argument(help="Run folder of a search.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the numbers and the verdict as JSON.")
    ] = False,
) -> None:
    """Check whether early stopping was right, and how much of the ranking is due to chance.

    Shows the rank correlation of VEER, or of the figure that decides (`decide_by`), at each rung
    with VEER at the end, the results of stopped trials that were run to the end (`--control` of
    search and resume), the spread over seeds (`--repeat`), whether every stop follows the rule of
    the rungs, and the epochs saved. VEER at the end is the median of the last five epochs. See
    docs/trust.md.
    """
    from results.analysis.run_view import RunView
    from results.audit.verdict import verdict
    from search.review.audit_run import audit_search

    found = audit_search(RunView.read(run))
    words = verdict(found)
    if as_json:
        print_for_programs(json.dumps(asdict(found) | {"verdict": words}, indent=2))
        return
    if found.rungs:
        console.print(_rungs(found))
    if found.controls is not None:
        console.print(_controls(found.controls))
    if found.seeds is not None:
        console.print(_seeds(found.seeds))
    for paragraph in words:
        console.print(Text(f"- {paragraph}"), soft_wrap=not console.is_terminal)
    missing = _missing(found)
    if missing:
        command = veer_command("resume", run)
        console.print(Text(f"for a fuller audit: {command} {missing}"), soft_wrap=True)


def _missing(found: Audit) -> str:
    """Return the options of `veer resume` for the parts that the run has no trials for."""
    wants_control = found.cost.num_stopped > 0 and found.controls is None
    options = [*(["--control 5"] * wants_control), *(["--repeat 3"] * (found.seeds is None))]
    return " ".join(options)


def _rungs(found: Audit) -> Table:
    has_controls = found.controls is not None
    figure = FIGURE_NAMES[found.decide_by]
    table = Table(title=f"Rungs: rank correlation of {figure} there with VEER at the end")
    for name in ("epoch", "reached", "stopped", "complete", "Spearman", "Kendall"):
        table.add_column(name, justify="right")
    if has_controls:
        for name in ("with controls", "Spearman", "Kendall"):
            table.add_column(name, justify="right")
    for rung in found.rungs:
        cells = [str(rung.epoch), str(rung.num_reached), str(rung.num_stopped)]
        cells += _cells(rung.complete)
        if rung.with_controls is not None:
            cells += _cells(rung.with_controls)
        table.add_row(*cells)
    return table


def _cells(found: Correlation) -> list[str]:
    if found.spearman is None or found.kendall is None:
        return [f"{found.num}, too few", _NO_VALUE, _NO_VALUE]
    return [str(found.num), f"{found.spearman:.2f}", f"{found.kendall:.2f}"]


def _controls(found: ControlsAudit) -> Table:
    table = Table(
        title=f"Controls: stopped trials run to the end; the best complete one is trial "
        f"{found.best_trial} with {found.best_end_pct:.2f} %"
    )
    names = ("trial", "follows", "stopped after", "VEER % at the end", "points behind", "rank")
    for name in (*names, "differs %"):
        table.add_column(name, justify="right")
    for each in found.controls:
        table.add_row(
            str(each.trial),
            str(each.follows),
            str(each.stopped_at),
            f"{each.end_veer_pct:.2f}",
            f"{each.behind_pct:+.2f}",
            str(each.place),
            f"{each.largest_gap_pct:.2f}",
        )
    table.caption = "differs: largest difference in an epoch that both ran; 0 if computed equally"
    return table


def _seeds(found: SeedsAudit) -> Table:
    table = Table(title="Seeds: runs of one config")
    for name in ("trials", "kind", "mean %", "sd %"):
        table.add_column(name, justify="right")
    for each in found.groups:
        trials = ", ".join(map(str, each.trials))
        table.add_row(trials, each.kind, f"{each.mean_pct:.2f}", f"{each.sd_pct:.2f}")
    return table
