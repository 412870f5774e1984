"""The run of a search from the command line, and its printed results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import typer

from results.terminal.quoting import veer_command
from search.cli.console import (
    INTERRUPTED_STATUS,
    STOPPED_STATUS,
    console,
)
from search.cli.form_times import print_forms_front
from search.cli.options import permission_flag, training_command
from spaces.files.locations import name_for_people

if TYPE_CHECKING:
    from results.analysis.run_view import RunView
    from search.config.search_config import SearchConfig
    from search.run.ending import SearchResult

# The message and the exit status for a search that ended before it was finished, by reason.
STOP_MESSAGES: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "interrupted": ("stopped; continue with", INTERRUPTED_STATUS),
        # A limit that the user has set is no failure: scripts may go on to the next command.
        "time_limit": ("time limit reached; continue with", 0),
        "failing": ("too many trials fail: fix the cause, then", STOPPED_STATUS),
        "disk_full": ("the disk is full: free some space, then", STOPPED_STATUS),
        "inverted": ("start another search; if they are right, continue with", STOPPED_STATUS),
    }
)


def run_and_print(settings: SearchConfig, folder: Path, *, retry_failed: bool = False) -> None:
    """Run a search, or the rest of an interrupted one, and print its results.

    Args:
        settings: The settings of the search.
        folder: The run folder.
        retry_failed: Whether failed trials run again.

    Raises:
        typer.Exit: With the status of Ctrl-C or SIGTERM if that ended the search, or the status of
            a search that stopped because of faults.
    """
    from results.journal.run_folder import EXPORT_FOLDER
    from search.cluster.signals import TERMINATED_STATUS, Terminated, terminable
    from search.remote.running_copy import upload_folder
    from search.run.progress import SearchView
    from search.run.run_search import run_search

    try:
        with terminable():
            view = SearchView(console)
            result = run_search(settings, folder, view, retry_failed=retry_failed)
    except KeyboardInterrupt as interrupt:  # while reading the corpus, or benchmarking
        console.print("stopped; the same command continues from here")
        is_terminated = isinstance(interrupt, Terminated)
        raise typer.Exit(TERMINATED_STATUS if is_terminated else INTERRUPTED_STATUS) from None
    _print_result(result)
    upload_folder(folder, [EXPORT_FOLDER])
    _, status = STOP_MESSAGES.get(result.reason, ("", 0))
    if status:
        # A batch system that sent SIGTERM expects its status, not that of Ctrl-C.
        raise typer.Exit(TERMINATED_STATUS if result.is_terminated else status)


def _print_result(result: SearchResult) -> None:
    """Export the best trial of a search that has ended, then print its tables.

    In this order no fault of the display loses the result.
    """
    from results.records.search_records import ENDINGS

    run, lines = result.run, ["no trial reached a VEER: nothing to export"]
    try:
        if result.reason in ENDINGS and run.ranked:
            lines = _exported(run)
    finally:
        _print_tables(result)
    if result.reason not in ENDINGS:
        why, _ = STOP_MESSAGES[result.reason]
        lines = [f"{why}: {veer_command('resume', run.folder.path)}{permission_flag()}"]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _print_tables(result: SearchResult) -> None:
    from results.records.benchmark_row import benchmark_columns
    from results.records.search_records import ENDINGS
    from results.terminal.cells import benchmark_view
    from results.terminal.front import front_view
    from results.terminal.trials import trials_view

    run = result.run
    if result.was_finished:
        where = name_for_people(run.folder.path)
        console.print(f"reusing {where}: {_why_finished(run)}", highlight=False, soft_wrap=True)
    console.print(trials_view(run, width=console.width))
    if (front := front_view(run, console.width)) is not None:
        console.print(front)
    if result.message:
        console.print(result.message, highlight=False, markup=False, soft_wrap=True)
    if result.reason in ENDINGS and run.benchmark is not None:
        rows = [row.as_dict() for row in run.benchmark.rows]
        console.print(benchmark_view(rows, benchmark_columns(run.benchmark.rows), console.width))
        print_forms_front(run.folder)


def _why_finished(run: RunView) -> str:
    from results.records.search_records import SearchEnded

    ended = run.latest(SearchEnded)
    match ended.reason if ended else None:
        case "exhausted":
            return f"this search is finished: its space has only {len(run.own)} trials"
        case "target_met":
            return "this search is finished: its target was met"
        case "epochs_spent":
            return "this search is finished: all its epochs are used"
        case _:
            return "this search is already finished"


def _exported(run: RunView) -> list[str]:
    """Export the best trial; return the lines about it."""
    from results.analysis.remarks import why_best
    from results.export.export import export_trial
    from results.export.within import OPTIONS
    from results.journal.goals import cost_goals

    exported = export_trial(run)
    lines = [
        f"best: trial {exported.trial}, {why_best(run)}",
        f"exported to {exported.folder}; train it in full with",
        f"  {training_command(exported)}",
    ]
    # Of several goals that is only the end of the front with the lowest figure.
    if costs := cost_goals(run.goals):
        options = " or ".join(f"{OPTIONS[goal]} COST" for goal in costs)
        command = veer_command("export", run.folder.path)
        lines.append(f"another student of the front: {command} {options}")
    return lines
