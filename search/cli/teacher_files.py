"""`veer teacher show`: what a teacher's file is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli.console import console
from search.cli.options import AllowCodeOption, permit


def show(
    teacher: Annotated[
        Path, typer.Argument(help="As --teacher of `veer search`: a file, or a run folder.")
    ],
    code: AllowCodeOption = False,
) -> None:
    """Print what a teacher is: its embedding, and what a graph takes. A graph is run on noise."""
    from trainable.foreign_models.graph import open_graph
    from trainable.foreign_models.graph_config import is_graph
    from trainable.teachers.any_teacher import facts_of_file, find_teacher

    permit(code)
    file = find_teacher(teacher)
    facts = facts_of_file(file)
    lines = {
        "file": str(file),
        "embedding": "not known before it runs" if facts.embedding_dim is None else (
            f"{facts.embedding_dim} numbers"
        ),
        "crops": "any length" if facts.crop_frames is None else f"{facts.crop_frames} frames",
        "classifier": f"{len(facts.centres.speakers):,} speakers" if facts.centres else "none",
    }
    if is_graph(file):
        found = open_graph(file).facts
        lines["input"] = f"{found.input_name}: " + (
            "waveform" if found.takes_waves else "log-mels"
        ) + f", axes {found.layout}"
        lines["output"] = found.output
        lines["batch"] = "any" if found.batch is None else str(found.batch)
        lines["weights"] = f"{found.num_params:,} numbers"
        lines["SHA-256"] = found.sha256
    for name, value in lines.items():
        console.print(f"{name}: {value}", highlight=False, markup=False, soft_wrap=True)
