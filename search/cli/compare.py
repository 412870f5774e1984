"""`veer compare`: searches side by side."""

import json
from pathlib import Path
from typing import Annotated

import typer

from search.cli.console import console, print_for_programs


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of two or more searches.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare searches: their settings, their cost and their results.

    Only settings and parts of the spaces that differ are shown. VEERs are compared after the same
    number of epochs, including those of stopped trials. A warning is shown if the validation lists
    differ: VEERs are not comparable then.
    """
    from results.analysis.run_view import RunView
    from results.compare.compare import compare_runs
    from results.compare.view import comparison_view

    comparison = compare_runs([RunView.read(run) for run in runs])
    if as_json:
        print_for_programs(json.dumps(comparison.as_dict(), indent=2, default=str))
    else:
        console.print(comparison_view(comparison, console.width))
