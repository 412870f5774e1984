"""Options that several commands share, and the commands that they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from results.records.limits import MOST_THREADS
from results.terminal.quoting import veer_command

if TYPE_CHECKING:
    from results.export.export import Export

_ALLOW_CODE_FLAG = " --allow-code"


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
        help="Override one setting of the preset or file, e.g. --set model.hidden_dim=64 (or "
        "trial.model.hidden_dim=64, as in a file). For a file also e.g. --set teacher=PATH. "
        "Repeatable.",
    ),
]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Seed of weights, order and crops.")]
DeviceOption = Annotated[
    str, typer.Option(help="cpu, cuda, or auto: cuda if PyTorch can use it, else cpu.")
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        help="Exported folder, run folder (its best model), model file, or .onnx file.",
        show_default=False,
    ),
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(help="File of `veer calibrate`.", show_default="the one stored with the model"),
]
QualityOption = Annotated[
    str | None,
    typer.Option(
        help="Quality measures in the calibration, beside the score: duration, magnitude, or both "
        "with a comma.",
        show_default="none",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_THREADS,
        help="CPU threads; by default as many CPUs as this process may use, and fewer if a "
        "measurement shows that others take them.",
    ),
]
WorkerThreadsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_THREADS,
        help="CPU threads; by default as many CPUs as this process may use, and fewer if a "
        "measurement shows that others take them. With --workers, of each worker; by default an "
        "equal share of the CPUs, without a measurement.",
    ),
]
StopAtOption = Annotated[
    str | None,
    typer.Option(
        help="End the search when a trial meets this criterion of `success` in the settings."
    ),
]
MaxConcurrentOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Most trials at the same time; by default as many as fit the cluster."
    ),
]
TotalEpochsOption = Annotated[
    int | None,
    typer.Option(min=1, help="End the search after this number of epochs of all trials together."),
]
RepeatOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="At the end run each of the best configs with this many other seeds, to the last "
        "epoch, and choose the best by the mean VEER.",
    ),
]
FinalistsOption = Annotated[
    int | None, typer.Option(min=1, help="Number of best configs for --repeat.")
]
ControlOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="At the end run this many of the trials that were stopped early, chosen at random, "
        "to the last epoch; `veer audit` then shows what early stopping lost.",
    ),
]
CpuOption = Annotated[float | None, typer.Option(help="CPUs per trial.")]
GpuOption = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|auto",
        help="GPUs per trial. With 0.25 four trials share one; auto measures how many fit.",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        help="Ray cluster to join, such as 10.0.0.1:6379; by default Ray is started on this "
        "machine."
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option(
        min=1,
        help="Processes that train together: each has a part of every batch, and the results are "
        "those of one process, to rounding.",
    ),
]
GpuWorkersOption = Annotated[
    bool, typer.Option("--gpu", help="With --workers: give each a GPU of its own.")
]
AllowCodeOption = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Allow your own code to run: models named package.module:Class, from the working "
        "folder, and teachers that are plug-ins, TorchScript or torch.export files.",
    ),
]


def permit(allowed: bool) -> None:
    """Allow this process to run code from the working folder if `allowed` is true."""
    from models.user_code import allow_code

    # Never without the flag: a config file from someone else could name code to be run.
    if allowed:
        allow_code(Path.cwd())


def permission_flag() -> str:
    """Return the flag for a printed command if the user gave it to this one, else nothing."""
    from models.user_code import is_code_allowed

    return _ALLOW_CODE_FLAG if is_code_allowed() else ""


def training_command(exported: Export) -> str:
    """Return the command to train an exported trial in full."""
    from results.export.export import EXPORTED_CONFIG
    from trainable.checkpoints.user_models import needs_user_code

    flag = _ALLOW_CODE_FLAG if needs_user_code(exported.config.trial.model) else ""
    return f"{veer_command('train', exported.folder / EXPORTED_CONFIG)}{flag}"
