"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Corpus = Annotated[
    Path,
    typer.Option(help="corpus.yaml, as `veer data prepare` and `veer data demo` write it."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one setting of the file, e.g. --set training.lr=1e-3. Repeatable.",
    ),
]
RunSet = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one setting of the file, e.g. --set trial.training.lr=1e-3. Repeatable.",
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of weights, order and crops.")]
Device = Annotated[
    str, typer.Option(help="cpu, cuda, or auto: cuda where PyTorch can use it, else cpu.")
]
