"""`veer teacher show` and `convert`: what a teacher's file is, and embeddings as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli.console import console
from search.cli.convert import refuse_lacking
from search.cli.options import AllowCodeOption, permit
from trainable.config.teacher_forms import TEACHER_FORMS


def show(
    teacher: Annotated[
        Path, typer.Argument(help=f"The teacher: {TEACHER_FORMS}.")
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


def convert(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Embeddings: Kaldi's .scp or .ark, .npy, .npz, .pt or .pth."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write; ends in .parquet.")],
    names: Annotated[
        Path | None,
        typer.Option(help="Text with a name in each line, for a file that holds one array."),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the audio: names are written as paths from it, and as the files there "
            "are named."
        ),
    ] = None,
    wav_scp: Annotated[
        Path | None,
        typer.Option("--wav-scp", help="Kaldi's wav.scp, where the names are utterances."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write embeddings of utterances as a teacher's Parquet file, a row an utterance.

    Names must become the paths of the corpus's lists. Nothing in FILE is executed: no pickle is
    read, and no command of an scp is run.
    """
    from spaces.files.errors import ConfigError, VeerError
    from trainable.teachers.any_teacher import EMBEDDINGS
    from trainable.teachers.embedding_converting import convert_embeddings

    if out.suffix != EMBEDDINGS:
        raise ConfigError(f"--out must end in {EMBEDDINGS}, got {out}")
    if out.exists() and not force:
        raise VeerError(f"{out} exists; name another file with --out, or pass --force")
    made = convert_embeddings(file, out, names=names, root=root, wav_scp=wav_scp)
    text = f"wrote {out}: {made.num_utterances:,} embeddings of {made.embedding_dim} numbers"
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    if made.not_paths:
        warning = (
            f"warning: {len(made.not_paths):,} names are not paths of audio files, such as "
            f"{made.not_paths[0]}; a corpus names files: give --wav-scp if these are utterances"
        )
        console.print(warning, highlight=False, markup=False, soft_wrap=True)
    refuse_lacking(made.lacking, root, out)
