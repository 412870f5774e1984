"""`veer export`: a trial as a folder, as a plug-in, or as one file that runs without Veer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.console import console
from search.cli.forms import FormOption, FormPlace, GraphInputOption, write_form
from search.cli.options import AllowCodeOption, permit, training_command
from search.cli.plugin import export_for
from search.cli.within import within_costs
from spaces.files.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from results.journal.goals import Goal


def export(
    run: Annotated[
        Path,
        typer.Argument(
            help="Run folder of a search; with --for and --form also a training run's folder or a "
            "model file."
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(help="With --for: the folder to write.", show_default=False),
    ] = None,
    program: Annotated[
        Literal["voxceleb_trainer"] | None,
        typer.Option(
            "--for", help="Write a plug-in for this program instead: docs/voxceleb_trainer.md."
        ),
    ] = None,
    form: FormOption = None,
    graph_input: GraphInputOption = "waveform",
    trial: Annotated[
        int | None, typer.Option(help="Number of the trial; by default the best that has ended.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write, with --form the file; by default RUN/export/trial-NNNN."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs of the full training; by default those of the trial."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="With --for: name of the plug-in.", show_default="that of the family"),
    ] = None,
    at_latency: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="In place of --trial: the lowest VEER of the students whose CPU time is at most "
            "this share of the teacher's."
        ),
    ] = None,
    at_params: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER", help="The same by the number of parameters, e.g. 500000 or 5e5."
        ),
    ] = None,
    at_macs: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER", help="The same by multiply-accumulates of an utterance of 2 s."
        ),
    ] = None,
    code: AllowCodeOption = False,
) -> None:
    """Export a trial: config.yaml for `veer train`, weights.safetensors and a model card.

    The weights are those of the trial's best epoch. An earlier export in the folder is replaced.
    With --for voxceleb_trainer a FOLDER is written whose content goes into that trainer's folder:
    the model as one file of Python, its weights, and flat configs. With --form one file is written
    that runs without Veer: docs/deployment.md.
    """
    from results.analysis.run_view import RunView
    from results.export.export import export_trial

    permit(code)
    costs: Mapping[Goal, str | None]
    costs = {"cpu_latency": at_latency, "params": at_params, "macs": at_macs}
    trial = within_costs(run, {k: v for k, v in costs.items() if v is not None}, trial)
    if form is not None:
        if folder is not None or program is not None or name is not None or epochs is not None:
            raise ConfigError(
                "--form takes none of FOLDER, --for, --name and --epochs: name the file with --out"
            )
        write_form(run, form, graph_input, FormPlace(trial=trial, out=out))
        return
    if program is not None or folder is not None or name is not None:
        if out is not None or epochs is not None:
            raise ConfigError("--for takes neither --out nor --epochs: name the FOLDER after RUN")
        export_for(program, run, folder, trial=trial, name=name)
        return
    exported = export_trial(RunView.read(run), trial, out, epochs)
    console.print(
        f"trial {exported.trial} is in {exported.folder}; train it in full with\n"
        f"  {training_command(exported)}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
