"""`veer audit`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from results.journal.decision import FIGURE_NAMES
from results.terminal.quoting import veer_command
from search.cli.console import console, print_for_programs, table_of

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


def _rungs(found: Audit) -> RenderableType:
    has_controls = found.controls is not None
    figure = FIGURE_NAMES[found.decide_by]
    headings = ["epoch", "reached", "stopped", "complete", "Spearman", "Kendall"]
    if has_controls:
        headings += ["with\ncontrols", "Spearman", "Kendall"]
    rows = []
    for rung in found.rungs:
        cells = [str(rung.epoch), str(rung.num_reached), str(rung.num_stopped)]
        cells += _cells(rung.complete)
        if rung.with_controls is not None:
            cells += _cells(rung.with_controls)
        rows.append(cells + [""] * (len(headings) - len(cells)))
    title = f"Rungs: rank correlation of {figure} there with VEER at the end"
    return table_of(headings, rows, texts=(), title=title)


def _cells(found: Correlation) -> list[str]:
    if found.spearman is None or found.kendall is None:
        return [f"{found.num}, too few", _NO_VALUE, _NO_VALUE]
    return [str(found.num), f"{found.spearman:.2f}", f"{found.kendall:.2f}"]


def _controls(found: ControlsAudit) -> RenderableType:
    headings = (
        "trial", "follows", "stopped\nafter", "VEER %\nat the end", "points\nbehind", "rank",
        "differs\n%",
    )  # fmt: skip
    rows = [
        (
            str(each.trial),
            str(each.follows),
            str(each.stopped_at),
            f"{each.end_veer_pct:.2f}",
            f"{each.behind_pct:+.2f}",
            str(each.place),
            f"{each.largest_gap_pct:.2f}",
        )
        for each in found.controls
    ]
    title = (
        "Controls: stopped trials run to the end; the best complete one is trial "
        f"{found.best_trial} with {found.best_end_pct:.2f} %"
    )
    remark = "differs: largest difference in an epoch that both ran; 0 if computed equally"
    return Group(table_of(headings, rows, texts=(), title=title), Text(remark, "dim"))


def _seeds(found: SeedsAudit) -> RenderableType:
    rows = [
        (", ".join(map(str, each.trials)), each.kind, f"{each.mean_pct:.2f}", f"{each.sd_pct:.2f}")
        for each in found.groups
    ]
    headings = ("trials", "kind", "mean %", "sd %")
    return table_of(headings, rows, texts=(0, 1), title="Seeds: runs of one config")
