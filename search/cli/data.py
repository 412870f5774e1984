"""`veer data`: build, prepare and check a corpus. Commands for its stores are in `store`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import RenderableType

from search.cli import store
from search.cli.console import console, progress_bar, table_of
from search.cli.convert import convert
from search.cli.groups import command_group
from spaces.files.errors import CorpusError

if TYPE_CHECKING:
    from trainable.corpus.check import CorpusReport

app = command_group("Prepare and check a corpus; manage its stored log-mels.")
app.command()(convert)
app.command()(store.build)
app.command()(store.info)
app.command()(store.prune)


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(help="Folder to write.")] = Path("runs/demo-corpus"),
    seed: Annotated[
        int, typer.Option(min=0, help="Seed; the same seed gives the same files.")
    ] = 0,
) -> None:
    """Build the demo corpus: 140 synthetic speakers, about one hour, in under a minute.

    The voices are synthetic (espeak-ng), each with several sessions that differ in room, noise,
    channel and level. An intact demo corpus with the same seed is reused; another one is replaced.
    """
    from trainable.demo.demo_corpus import DemoConfig, build_demo_corpus
    from trainable.machine.cores import available_cores

    config = DemoConfig(seed=seed)
    with progress_bar(f"speakers, on {available_cores()} cores") as progress:
        built = build_demo_corpus(out, config, progress)
    console.print("reused" if built.reused else "built", str(built.config_path), highlight=False)


@app.command()
def prepare(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with one subfolder per speaker.")
    ],
    layout: Annotated[
        Literal["voxceleb", "librispeech"],
        typer.Option(help="Directory layout of DIR, see above."),
    ],
    val_speakers: Annotated[
        int, typer.Option(min=2, help="Speakers of the validation list, chosen at random.")
    ],
    test_speakers: Annotated[
        int, typer.Option(min=0, help="Speakers of the test list; 0 for no test list.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the lists and corpus.yaml.", show_default="DIR"),
    ] = None,
    pairs: Annotated[
        int, typer.Option(min=2, help="Most trial pairs in a list, half of them target pairs.")
    ] = 4000,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed for the choice of speakers and pairs.")
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing lists.")] = False,
) -> None:
    """Write the lists of a corpus from a folder of speakers.

    Layout voxceleb: DIR/SPEAKER/SESSION/UTTERANCE.wav or .flac.
    Layout librispeech: DIR/SPEAKER/CHAPTER/UTTERANCE.flac.

    Training, validation and test get different speakers. Target pairs combine different sessions
    of a speaker if there are several. No audio is opened: `veer data check` decodes the files.
    """
    from spaces.files.yaml_file import load_mapping
    from trainable.corpus.prepare import PrepareConfig, prepare_corpus

    settings = {
        "layout": layout,
        "num_val_speakers": val_speakers,
        "num_test_speakers": test_speakers,
        "num_pairs": pairs,
        "seed": seed,
        "force": force,
    }
    config = load_mapping(PrepareConfig, settings, "command line")
    written = prepare_corpus(folder, out or folder, config)
    console.print("wrote", str(written), highlight=False)


@app.command()
def check(
    corpus: Annotated[Path, typer.Argument(help="The corpus.yaml.")],
    allow_shared_speakers: Annotated[
        bool,
        typer.Option(
            "--allow-shared-speakers",
            help="Allow speakers that are in training and in a trial list.",
        ),
    ] = False,
) -> None:
    """Check the lists and decode every file in them; print all faults, or the counts."""
    from trainable.corpus.check import check_corpus
    from trainable.corpus.corpus import read_corpus_config

    config = read_corpus_config(corpus)
    # On a copy of the settings: corpus.yaml itself stays strict for trainings and searches.
    if allow_shared_speakers:
        config = config.model_copy(update={"allow_shared_speakers": True})
    try:
        with progress_bar("files") as progress:
            report = check_corpus(config, progress)
    except CorpusError as error:
        more = "these are faults; warnings are printed by a check that finds none"
        raise CorpusError([*error.faults, more]) from error
    console.print(_report_table(report))
    for part in report.parts:
        if part.speakers_found:
            line = f"{part.name} speakers {part.speakers_found}"
            console.print(line, highlight=False, soft_wrap=True)
    for warning in report.warnings:
        console.print(f"warning: {warning}", highlight=False, soft_wrap=True)
    console.print(f"{corpus}: no faults", highlight=False)


def _report_table(report: CorpusReport) -> RenderableType:
    headings = ("part", "speakers", "files", "hours", "shortest, s", "targets", "non-targets")
    rows = []
    for part in report.parts:
        pairs = (part.num_target_pairs, part.num_nontarget_pairs)
        rows.append(
            (
                part.name,
                f"{part.num_speakers:,}",
                f"{part.num_files:,}",
                f"{part.duration_h:.2f}",
                f"{part.shortest_s:.2f}",
                *(f"{count:,}" if sum(pairs) else "" for count in pairs),
            )
        )
    return table_of(headings, rows)
