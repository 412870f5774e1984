"""`veer teacher`: train the model that students learn from, show or convert any teacher."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.groups import command_group
from search.cli.options import (
    AddressOption,
    AllowCodeOption,
    CorpusOption,
    DeviceOption,
    GpuWorkersOption,
    SeedOption,
    SetOption,
    WorkersOption,
    WorkerThreadsOption,
    permit,
)
from search.cli.teacher_files import convert, show
from search.cli.training import run_and_show
from search.full_training.plan import Workers

app = command_group("Train the teacher; show a teacher's file, convert embeddings.")
app.command()(show)
app.command()(convert)

@app.command()
def train(
    corpus: CorpusOption,
    config: Annotated[
        str,
        typer.Argument(
            help="YAML file of a trial config (model, loss, training, seed), or a bundled one: "
            "teacher (3.87M parameters, as in the notes), teacher_half, teacher_demo."
        ),
    ] = "teacher",
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/teacher"),
    overrides: SetOption = None,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    threads: WorkerThreadsOption = None,
    workers: WorkersOption = 1,
    gpu: GpuWorkersOption = False,
    address: AddressOption = None,
    code: AllowCodeOption = False,
) -> None:
    """Train a teacher and print its VEER.

    A finished teacher of the same config in the folder is reused, an unfinished one is continued.
    Checkpoints are written to OUT/model, scores to OUT/result/scores.txt.
    """
    from trainable.config.reading import read_trial_config
    from trainable.config.trial_config import TrialConfig

    permit(code)
    trial: TrialConfig = read_trial_config(config, overrides or (), seed=seed)
    run_and_show(
        corpus=corpus,
        teacher=None,
        trial=trial,
        out=out,
        device=device,
        workers=Workers(number=workers, use_gpu=gpu, num_threads=threads, address=address),
    )
