"""Searches beside each other: `veer compare`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from results.compare.compare import compare_runs
from results.compare.view import comparison_view
from results.tables.run_view import RunView
from search.cli.console import console


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of two searches or more.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Put searches side by side: what they were told, spent and found.

    Only settings and parts of the spaces that differ are shown. VEERs are compared after the same
    number of epochs, those of stopped trials counted in. Where the validation lists differ, VEERs
    say nothing of each other, and it says so.
    """
    comparison = compare_runs([RunView.read(run) for run in runs])
    if as_json:
        typer.echo(json.dumps(comparison.as_dict(), indent=2, default=str))
    else:
        console.print(comparison_view(comparison, console.width))
