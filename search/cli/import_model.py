"""`veer import`: weights of another program as a model file of Veer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.console import console
from search.cli.options import AllowCodeOption, permit

if TYPE_CHECKING:
    from trainable.checkpoints.foreign_weights import FittedWeights

# A list of its own, since the catalogue imports PyTorch, which the help must not wait for.
FAMILIES = (
    "mlp_mixer, mlp_mixer_free, mlp_mixer_hybrid, mlp_mixer_autoencoder, lstm_autoencoder, "
    "resnet_se34l, ecapa_tdnn, next_tdnn, campplus"
)
_MAX_LISTED = 5


def import_checkpoint(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="A file of weights: voxceleb_trainer's model%09d.model, {'model': ...}, a "
            "PyTorch Lightning checkpoint, a plain state dict, or .safetensors."
        ),
    ],
    family: Annotated[
        str, typer.Option(help=f"Family of the model: {FAMILIES}, or package.module:Class.")
    ],
    out: Annotated[Path, typer.Option(help="Model file to write; ends in .model.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A size of the model, e.g. --set model.embedding_dim=256, or loss.scale of its "
            "classifier. Repeatable.",
        ),
    ] = None,
    train_list: Annotated[
        Path | None,
        typer.Option(
            help="Import voxceleb_trainer's classifier (AAM-softmax) too: the train list of "
            "CHECKPOINT, whose speakers in sorted order are its classes.",
            show_default=False,
        ),
    ] = None,
    code: AllowCodeOption = False,
) -> None:
    """Make a model file of Veer from weights that another program trained.

    The file can be a teacher, the start of a training (init_from), and be evaluated and
    exported. Prefixes of names, such as module., are found by themselves. Nothing in CHECKPOINT
    is executed. What does not fit is listed, tensor by tensor.
    """
    from spaces.files.disk import require_writable
    from trainable.checkpoints.importing import import_model, model_only_config

    permit(code)
    require_writable(out.parent)
    config = model_only_config(family, overrides or ())
    imported = import_model(checkpoint, config, out, train_list)
    lines = [
        f"{imported.file}: {family}, {imported.num_params:,} parameters, "
        f"{len(imported.fitted.weights)} tensors",
        *([f"classifier of {imported.num_speakers:,} speakers"] if train_list else []),
        *_remarks(imported.fitted),
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _remarks(fitted: FittedWeights) -> list[str]:
    lines = []
    if fitted.prefix:
        lines.append(f"names began with {fitted.prefix}")
    if others := fitted.left_out:
        more = f", ... ({len(others)} in all)" if len(others) > _MAX_LISTED else ""
        lines.append(f"left out, of other parts: {', '.join(others[:_MAX_LISTED])}{more}")
    if fitted.not_in_file:
        lines.append("the file has no decoder: it starts from random weights")
    return lines
