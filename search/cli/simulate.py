"""`veer simulate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.console import console, print_for_programs, progress_bar, table_of
from search.cli.options import AllowCodeOption, permit

if TYPE_CHECKING:
    from search.prediction.prediction import Prediction, Setup
    from search.prediction.scaling import ScalingPoint


def simulate(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders of earlier searches, whose curves are known.")
    ],
    settings: Annotated[
        Path | None,
        typer.Option(help="Settings file of the search.", show_default="those of the last RUN"),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override one setting of the search, e.g. --set num_trials=64. Repeatable.",
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUES",
            help="Also play these values of a setting, e.g. --vary scheduler.grace_epochs=1,3 or "
            "--vary sampler=random,tpe. Repeatable.",
            show_default="usual values of early stopping, grace, factor and epochs",
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Trials at a time, e.g. 1,2,8; the first is what the settings are varied with.",
            show_default="max_concurrent of the settings, or 1",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=2, help="Simulated searches of each kind.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first one.")] = 0,
    within: Annotated[
        float,
        typer.Option(min=0, help="Points of VEER by which a student may be worse than the best."),
    ] = 0.5,
    scaling: Annotated[
        bool,
        typer.Option(
            "--scaling", help="Also play searches with 1 to 1,024 workers, up to a good VEER."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="HTML page with tables and charts.", show_default="no page"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
    code: AllowCodeOption = False,
) -> None:
    """Predict what a search takes and brings before it is paid for.

    A model of the students is fitted to the curves of earlier runs of the same space. Searches are
    then played through the real sampler and the real early stopping on a simulated clock: with the
    given settings, and with settings that differ in one value. See docs/simulate.md.
    """
    from results.analysis.run_view import RunView
    from search.prediction.advice import advice
    from search.prediction.prediction import predict, prepare
    from search.prediction.questions import make_question

    permit(code)
    views = [RunView.read(run) for run in runs]
    question = make_question(
        views[-1], settings, assignments=overrides or (), vary=vary or (), workers=workers
    )
    setup = prepare(views, question)
    with progress_bar("simulated searches") as progress:
        found = predict(setup, range(seed, seed + seeds), within, progress)
    points = _races(setup, found, scaling)
    sentence = advice(found)
    if as_json:
        rows = [asdict(each) for each in points]
        told = asdict(found) | {"advice": sentence, "scaling": rows}
        print_for_programs(json.dumps(told, indent=2))
    else:
        _print(found, sentence, points)
    if out is not None:
        from search.prediction.prediction_page import write_prediction_page

        write_prediction_page(out, found, sentence, points)
        if not as_json:
            console.print(f"page: {out}", highlight=False, soft_wrap=True)


def _races(setup: Setup, found: Prediction, scaling: bool) -> list[ScalingPoint]:
    from search.prediction.prediction import races_of
    from search.prediction.scaling import ARMS, WORKERS, run_races

    if not scaling:
        return []
    with progress_bar("searches up to a VEER") as progress:
        return run_races(
            races_of(setup, found), setup.variants[0].settings, list(ARMS), WORKERS, progress
        )


def _print(found: Prediction, sentence: str, points: Sequence[ScalingPoint]) -> None:
    from search.prediction.prediction_table import (
        TextTable,
        basis_lines,
        result_table,
        scaling_tables,
    )

    def show(table: TextTable) -> None:
        console.print(table_of(table.headings, table.rows))

    for line in basis_lines(found):
        console.print(line, highlight=False, soft_wrap=True)
    show(result_table(found))
    console.print(sentence, highlight=False, soft_wrap=True)
    for table in scaling_tables(points):
        show(table)
        for line in table.lines:
            console.print(line, highlight=False, soft_wrap=True)
