"""`veer gap`: what a search promised against what full trainings gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from search.cli.console import console, print_for_programs


def gap(
    run: Annotated[Path, typer.Argument(help="Run folder of a search.")],
    trainings: Annotated[
        list[Path],
        typer.Argument(help="Folders of `veer train` runs of its trials, one or more."),
    ],
    page: Annotated[
        Path | None, typer.Option(help="Write a page with the learning curves too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Compare a search with full trainings of its trials.

    Shown are the VEER that the search promised, that of the full training after as many epochs,
    its best one, and the ranks in both; then, in words, whether the search's setting (its epochs,
    its width scale, its list) can be trusted to choose.
    """
    from results.analysis.run_view import RunView
    from results.gap.gap import find_gap, read_full_training
    from results.gap.view import gap_view

    found = find_gap(RunView.read(run), [read_full_training(each) for each in trainings])
    if page is not None:
        # Plotly takes a second to import.
        from results.gap.page import write_gap_page

        write_gap_page(page, found)
    if as_json:
        print_for_programs(json.dumps(found.as_dict(), indent=2, default=str))
    else:
        console.print(gap_view(found, console.width))
    if page is not None and not as_json:
        console.print(f"page: {page}", markup=False, highlight=False, soft_wrap=True)
