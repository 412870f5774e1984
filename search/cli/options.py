"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from models.user_code import allow_code, is_code_allowed
from results.export.export import EXPORTED_CONFIG, Export
from results.terminal.quoting import veer_command
from trainable.checkpoints.user_models import needs_user_code

FLAG = " --allow-code"


def _set_option(example: str) -> Any:
    text = f"Override one setting of the file, e.g. --set {example}. Repeatable."
    return typer.Option("--set", metavar="KEY=VALUE", help=text)


CorpusOption = Annotated[
    Path,
    typer.Option(help="corpus.yaml, as `veer data prepare` and `veer data demo` write it."),
]
SetOption = Annotated[list[str] | None, _set_option("training.lr=1e-3")]
RunSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one setting of the trial, of a preset's and of a file's alike, e.g. --set "
        "model.hidden_dim=64 (or trial.model.hidden_dim=64, as it stands in a file); of a file "
        "also e.g. --set teacher=PATH. Repeatable.",
    ),
]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Seed of weights, order and crops.")]
DeviceOption = Annotated[
    str, typer.Option(help="cpu, cuda, or auto: cuda where PyTorch can use it, else cpu.")
]
StopAtOption = Annotated[
    str | None,
    typer.Option(help="End the search when a trial meets this criterion of `success`."),
]
MaxConcurrentOption = Annotated[
    int | None, typer.Option(min=1, help="Trials at once; else as many as the cluster fits.")
]
TotalEpochsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Epochs of all trials together after which the search ends."),
]
RepeatOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Run each of the best configs with so many other seeds at the end, to the last "
        "epoch, and choose the best by their mean.",
    ),
]
FinalistsOption = Annotated[int | None, typer.Option(min=1, help="Best configs that --repeat is for.")]
ControlOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Run so many of the trials that were stopped early to the last epoch after all, "
        "drawn at random; veer audit then says what was lost.",
    ),
]
CpuOption = Annotated[float | None, typer.Option(help="CPUs a trial.")]
GpuOption = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|auto",
        help="GPUs a trial; 0.25 lets four trials share one, auto measures how many fit.",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(help="Ray cluster to join, such as 10.0.0.1:6379; else one is started here."),
]
AllowCodeOption = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Run code of yours: models named package.module:Class, from the working folder, and "
        "plug-in teachers.",
    ),
]


def permit(allowed: bool) -> None:
    """Let this process run the code in the working folder, if that is allowed."""
    if allowed:
        allow_code(Path.cwd())


def permission_flag() -> str:
    """Return what a command that is printed for the person, like the one given, must end with."""
    return FLAG if is_code_allowed() else ""


def training_command(exported: Export) -> str:
    """Return the command that trains an exported trial in full."""
    flag = FLAG if needs_code(exported.config.trial.model) else ""
    return f"{veer_command('train', exported.folder / CONFIG)}{flag}"
