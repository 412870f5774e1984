"""`veer embed`: the embeddings of a list, as a file for other tools."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from search.cli.console import computing_device, console, progress_bar
from search.cli.options import AllowCodeOption, DeviceOption, permit
from spaces.files.errors import ConfigError, CorpusError


def embed(
    listed: Annotated[
        Path,
        typer.Argument(
            metavar="LIST",
            help="Lines 'PATH', 'NAME PATH' (a train list, wav.scp) or '1|0 PATH_A PATH_B'.",
        ),
    ],
    model: Annotated[
        Path,
        typer.Option(help="Exported folder, run folder (its best model), model or .onnx file."),
    ],
    out: Annotated[
        Path, typer.Option(help="File to write: .parquet, .npy (and .txt), or .ark (and .scp).")
    ],
    root: Annotated[
        Path, typer.Option(help="Folder that the list's paths are relative to.")
    ] = Path(),
    trial: Annotated[
        int | None, typer.Option(min=0, help="Number of a trial of the search, not its best.")
    ] = None,
    num_crops: Annotated[
        int | None,
        typer.Option("--crops", min=1, help="Crops of an utterance.", show_default="10"),
    ] = None,
    eval_frames: Annotated[
        int | None,
        typer.Option(min=1, help="Crop length in frames of 10 ms.", show_default="300"),
    ] = None,
    skip: Annotated[
        bool, typer.Option("--skip-faults", help="Leave out files that cannot be used.")
    ] = False,
    device: DeviceOption = "auto",
    code: AllowCodeOption = False,
) -> None:
    """Write the embedding of each utterance of a list: the mean over evenly spaced crops.

    The file appears when it is complete. A Parquet file is also a teacher: docs/teachers.md.
    """
    from search.use.model_in_use import open_model
    from spaces.files.disk import require_writable
    from trainable.embedding.embedder import CropPlan, embedded_batches
    from trainable.embedding.sinks import SinkFacts, open_sink
    from trainable.embedding.utterance_list import read_utterances
    from trainable.verification.crops import DEFAULT_EVAL_FRAMES, FINAL_CROPS

    permit(code)
    require_writable(out.parent)
    plan = CropPlan(
        num_crops=num_crops or FINAL_CROPS, num_frames=eval_frames or DEFAULT_EVAL_FRAMES
    )
    utterances, faults = read_utterances(listed, root), list[str]()
    embedder = open_model(model, computing_device(device), trial).embedder
    name_of = dict(zip(utterances.paths, utterances.names, strict=True))
    meta = {"model": str(model), "weights_sha256": embedder.weights_sha256, **asdict(plan)}
    facts = SinkFacts(embedding_dim=embedder.embedding_dim, meta=meta)
    num_written = 0
    with open_sink(out, facts) as sink, progress_bar("utterances") as progress:
        for batch in embedded_batches(embedder, root, utterances.paths, plan, faults, progress):
            sink.write([name_of[path] for path in batch.paths], batch)
            num_written += len(batch.paths)
        if faults and not skip:
            raise CorpusError([*faults, "nothing was written; leave them out: --skip-faults"])
        if not num_written:
            raise ConfigError(f"{listed}: none of its files can be used: {faults[0]}")
    left_out = f", {len(faults):,} left out; the first: {faults[0]}" if faults else ""
    console.print(
        f"{num_written:,} embeddings of size {embedder.embedding_dim} in {out}{left_out}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
