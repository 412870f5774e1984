"""`veer data convert`: a list of another tool, in Veer's format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.console import console

if TYPE_CHECKING:
    from trainable.list_formats.converting import ConvertedList


def convert(
    file: Annotated[Path, typer.Argument(metavar="LIST", help="The list; it stays as it is.")],
    kind: Annotated[
        Literal["train", "trial"],
        typer.Option("--as", help="A train list (SPEAKER PATH) or a trial list (1|0 PATH PATH)."),
    ],
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the audio: paths are written as they start from it, and as the files "
            "there are named.",
            show_default=False,
        ),
    ] = None,
    wav_scp: Annotated[
        Path | None,
        typer.Option(
            "--wav-scp", help="Kaldi's wav.scp, for a list of utterances.", show_default=False
        ),
    ] = None,
    wanted: Annotated[
        Literal["auto", "veer", "kaldi", "wespeaker", "speechbrain", "table"],
        typer.Option(
            "--format", help="Format that the list should have; another one is refused by name."
        ),
    ] = "auto",
    encoding: Annotated[
        str | None,
        typer.Option(
            help="Encoding of the list, such as latin-1.", show_default="UTF-8, UTF-16"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="LIST_new.txt")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a list of another tool as Veer reads it.

    Taken are columns in any order, parted by white space, commas, semicolons or bars, with header,
    comments, blank lines and further columns; labels such as target/nontarget, 1/-1 or true/false;
    Kaldi's trials, utt2spk and spk2utt with --wav-scp; absolute paths of another machine with
    --root; and other encodings. Where files are missing below --root, the list is written, and the
    command ends with status 1.
    """
    from spaces.files.atomic import write_text_atomically
    from spaces.files.errors import VeerError
    from trainable.list_formats.converting import convert_list
    from trainable.list_formats.list_text import new_name

    target = out or new_name(file)
    if target.exists() and not force:
        raise VeerError(f"{target} exists; name another file with --out, or pass --force")
    made = convert_list(
        kind, file, root=root, wav_scp=wav_scp, encoding=encoding, wanted=wanted
    )
    write_text_atomically(target, "".join(f"{line}\n" for line in made.lines))
    _print(f"wrote {target}: {len(made.lines):,} lines{_changes(made)}")
    _print(_next_step(kind, file, target))
    refuse_lacking(made.lacking, root, target)


def refuse_lacking(lacking: Sequence[str], root: Path | None, written: Path) -> None:
    """End with a status other than 0 if files are missing; what was written stays.

    Raises:
        CorpusError: There are some; with their number and the first.
    """
    from results.analysis.faults import counted
    from spaces.files.errors import CorpusError

    if lacking:
        raise CorpusError(
            [
                f"{written} was written, but names {counted(len(lacking), 'file')} that "
                f"{'are' if len(lacking) > 1 else 'is'} not below {root}, such as {lacking[0]}: "
                "give the right --root, or leave these lines out"
            ]
        )


def _changes(made: ConvertedList) -> str:
    from results.analysis.faults import counted

    parts = [f"{counted(count, what)} left out" for what, count in made.num_left_out.items()]
    if made.num_repaired:
        parts.append(f"{counted(made.num_repaired, 'path')} written as the files are named")
    return "".join(f"; {part}" for part in parts)


def _next_step(kind: str, file: Path, target: Path) -> str:
    """Return the line of corpus.yaml that names the new list."""
    from spaces.files.errors import VeerError
    from trainable.corpus.corpus import read_corpus_config
    from trainable.corpus.known_lists import is_same_file

    corpus = file.parent / "corpus.yaml"
    keys = ["train_list"] if kind == "train" else ["val_list", "test_list"]
    is_beside = target.parent.absolute() == file.parent.absolute()
    named = target.name if is_beside else target.absolute()
    try:
        config = read_corpus_config(corpus)
    except VeerError:
        config = None
    for key in keys:
        listed = getattr(config, key, None)
        if listed is not None and is_same_file(listed, file):
            return f"to use it, set in {corpus}: {key}: {named}"
    also = "" if kind == "train" else " (or test_list:, or --pairs)"
    return f"to use it, set in corpus.yaml: {keys[0]}: {target.absolute()}{also}"


def _print(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
