"""`veer simulate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.console import console, print_for_programs, progress_bar, table_of
from search.cli.options import AllowCodeOption, permit

if TYPE_CHECKING:
    from search.prediction.prediction import Setup
    from search.prediction.prediction_page import Answer
    from search.prediction.prediction_table import TextTable
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
    from search.prediction.prediction_page import Answer
    from search.prediction.questions import asked_lines, make_question

    permit(code)
    views = [RunView.read(run) for run in runs]
    question = make_question(
        views[-1], settings, assignments=overrides or (), vary=vary or (), workers=workers
    )
    setup = prepare(views, question)
    with progress_bar("simulated searches") as progress:
        found = predict(setup, range(seed, seed + seeds), within, progress)
    now = datetime.now(UTC)
    asked = tuple(asked_lines(views, question, setup.variants[0].settings, now))
    answer = Answer(asked=asked, found=found, sentence=advice(found))
    # Before the searches up to a VEER: they may take hours, and be interrupted.
    if not as_json:
        _print(answer)
    if out is not None:
        _write_page(out, answer)
    points = _race(setup, answer, out, is_quiet=as_json) if scaling else []
    if as_json:
        rows = [asdict(each) for each in points]
        told = asdict(found) | {"advice": answer.sentence, "scaling": rows}
        print_for_programs(json.dumps(told, indent=2))
    elif out is not None:
        _line(f"page: {out}")


def _race(
    setup: Setup, answer: Answer, out: Path | None, *, is_quiet: bool
) -> list[ScalingPoint]:
    """Play the searches up to a VEER; print and write those of an arm as soon as it has ended."""
    from search.prediction.prediction import races_of
    from search.prediction.prediction_table import scaling_tables
    from search.prediction.scaling import ARMS, WORKERS, effort_in_words, run_races

    races, settings = races_of(setup, answer.found), setup.variants[0].settings
    points: list[ScalingPoint] = []
    if not is_quiet:
        _line(effort_in_words(races, settings))
    with progress_bar("searches up to a VEER") as progress:
        for place, arm in enumerate(ARMS):

            def show(done: int, of_arm: int, before: int = place) -> None:
                progress(before * of_arm + done, len(ARMS) * of_arm)

            own = run_races(races, settings, [arm], WORKERS, show)
            points += own
            if not is_quiet:
                for table in scaling_tables(own):
                    _show(table)
            if out is not None:
                _write_page(out, answer, points)
    return points


def _write_page(out: Path, answer: Answer, points: Sequence[ScalingPoint] = ()) -> None:
    """Write the page of a prediction."""
    from search.prediction.prediction_page import write_prediction_page

    write_prediction_page(out, answer, points)


def _print(answer: Answer) -> None:
    from search.prediction.prediction_table import basis_lines, result_table

    for line in basis_lines(answer.found):
        _line(line)
    _show(result_table(answer.found))
    _line(answer.sentence)


def _show(table: TextTable) -> None:
    console.print(table_of(table.headings, table.rows))
    for line in table.lines:
        _line(line)


def _line(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
