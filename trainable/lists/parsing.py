"""Train lists and trial lists, parsed line by line; every fault names its file and line.

The formats are those of voxceleb_trainer: `SPEAKER PATH` and `1|0 PATH_A PATH_B`, with paths
relative to a root folder. An absolute path inside the root is taken as relative to it.
"""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from spaces.files.complaints import short_repr
from spaces.files.errors import ConfigError, CorpusError
from trainable.list_formats.converting import convert_list
from trainable.list_formats.foreign_lists import foreign_fault
from trainable.list_formats.layouts import (
    LINE_FORMS,
    STANDARD,
    ListFormat,
    ListKind,
    is_extra,
    layout_of,
    list_format,
)
from trainable.list_formats.list_labels import is_target_label
from trainable.list_formats.list_text import read_lines
from trainable.list_formats.listed_files import ELSEWHERE, UTTERANCE_NAMES, ListedFiles
from trainable.list_formats.sources import VEER_LISTS, ListSource
from trainable.lists.line_faults import LineFaults

_Line = TypeVar("_Line")
_LABELS = {"1": True, "0": False}
# Wrong labels that a command converts.
KNOWN_LABEL = "known label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """A line of a train list.

    Attributes:
        path: Audio file, relative to the root.
        speaker: Name of the speaker in the list.
        line: Line in the list, counted from 1; 0 if the utterance comes from no list.
    """

    path: str
    speaker: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPair:
    """A line of a trial list.

    Attributes:
        is_target: Whether one speaker speaks in both files.
        path_a: Audio file, relative to the root.
        path_b: Audio file, relative to the root.
        line: Line in the list, counted from 1; 0 if the pair comes from no list.
    """

    is_target: bool
    path_a: str
    path_b: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAs:
    """How a list is read.

    Attributes:
        zero_is_target: Whether 0, not 1, stands for the same speaker.
        source: The format of the list.
    """

    zero_is_target: bool = False
    source: ListSource = VEER_LISTS


def parse_train_list(
    path: Path,
    root: Path,
    faults: list[str],
    *,
    check_files: bool = True,
    files: ListedFiles | None = None,
    read_as: ReadAs | None = None,
) -> tuple[Utterance, ...]:
    """Read `SPEAKER PATH` lines; add faults to `faults` and return the valid lines.

    Args:
        path: The list.
        root: Folder that the paths start from.
        faults: Receives one sentence for each fault.
        check_files: Whether to check that each audio file exists; false for lists that were
            checked before.
        files: Checks the paths in place of a check of its own, and knows the files afterwards.
        read_as: How the list is read; None for Veer's format.
    """
    files = files or ListedFiles(root, check_files=check_files)
    found = LineFaults("train", path, root)

    def parse(line: int, fields: list[str]) -> Utterance | None:
        if len(fields) != 2:
            found.add_one_of("form", line, _wrong_form("train", fields))
            return None
        audio = _checked(files, found, line, fields[1])
        if audio is None:
            return None
        # One name that two systems write with other code points is one speaker.
        return Utterance(path=audio, speaker=unicodedata.normalize("NFC", fields[0]), line=line)

    folder, source = root if check_files else path.parent, (read_as or ReadAs()).source
    utterances = tuple(_items(found, parse, folder, faults, source))
    _explain(found, files)
    faults += found.texts
    return utterances


def parse_trial_list(
    path: Path,
    root: Path,
    faults: list[str],
    *,
    check_files: bool = True,
    files: ListedFiles | None = None,
    read_as: ReadAs | None = None,
) -> tuple[TrialPair, ...]:
    """Read `1|0 PATH_A PATH_B` lines; see `parse_train_list` for the other arguments.

    Args:
        path: The list.
        root: Folder that the paths start from.
        faults: Receives one sentence for each fault.
        check_files: Whether to check that each audio file exists.
        files: Checks the paths in place of a check of its own.
        read_as: How the list is read; None for Veer's format.
    """
    read_as = read_as or ReadAs()
    files = files or ListedFiles(root, check_files=check_files)
    found = LineFaults("trial", path, root)

    def parse(line: int, fields: list[str]) -> TrialPair | None:
        if len(fields) != 3:
            found.add_one_of("form", line, _wrong_form("trial", fields))
            return None
        label = _LABELS.get(fields[0])
        if label is None:
            # A label that is known is a fault, but the other checks take it as it is meant.
            label = _label_with_fault(found, line, fields[0])
        path_a, path_b = (_checked(files, found, line, each) for each in fields[1:])
        if label is None or path_a is None or path_b is None:
            return None
        is_target = label != read_as.zero_is_target
        return TrialPair(is_target=is_target, path_a=path_a, path_b=path_b, line=line)

    folder = root if check_files else path.parent
    pairs = tuple(_items(found, parse, folder, faults, read_as.source))
    _explain(found, files)
    faults += found.texts
    return pairs


def _checked(files: ListedFiles, found: LineFaults, line: int, path: str) -> str | None:
    """Return a path relative to the root, None if it has a fault."""
    audio = files.relative(path)
    fault = files.fault(audio)
    if fault is None:
        return audio
    # A linked folder of a thousand files is one fault.
    if (cause := files.shared_cause(audio)) is None:
        found.add_one_of("missing", line, fault)
    else:
        found.add(line, fault, cause)
    return None


def _label_with_fault(found: LineFaults, line: int, label: str) -> bool | None:
    text = f"the label must be 1 (same speaker) or 0, got {short_repr(label)}"
    is_target = is_target_label(label)
    found.add(line, text, "label" if is_target is None else KNOWN_LABEL)
    return is_target


def _explain(found: LineFaults, files: ListedFiles) -> None:
    """Add to faults that lines share what a command or a setting for the whole list mends."""
    for cause in (*files.repaired_causes, KNOWN_LABEL):
        found.explain(cause, f"convert it with: {found.convert}")
    found.explain(UTTERANCE_NAMES, f"convert it with: {found.convert} --wav-scp wav.scp")
    if (folder := files.folder_elsewhere) is not None:
        key = "train_dir" if found.kind == "train" else "val_dir (or test_dir, or --root)"
        found.explain(ELSEWHERE, f"its file is there: set {key} to {folder}")


def _wrong_form(kind: ListKind, fields: list[str]) -> str:
    text = " ".join(fields)
    is_open = text.count('"') % 2
    return (
        f"must be {LINE_FORMS[kind]!r}, got {short_repr(text)}"
        f"{', in which a quote is not closed' * is_open}{', which is JSON' * (text[:1] == '{')}"
    )


def _items(
    found: LineFaults,
    parse: Callable[[int, list[str]], _Line | None],
    root: Path,
    faults: list[str],
    source: ListSource,
) -> Iterator[_Line]:
    if source.format == "veer":
        yield from _parsed(_lines_of(found, root, faults), parse, found)
        return
    if not root.is_dir():
        faults.append(f"{found.file}: there is no folder {root} for its paths to start from")
        return
    try:
        made = convert_list(
            found.kind, found.file, wav_scp=source.wav_scp, wanted=source.format
        )
    except (ConfigError, CorpusError) as error:
        faults += error.faults if isinstance(error, CorpusError) else [str(error)]
        return
    for number, line in zip(made.numbers, made.lines, strict=True):
        item = parse(number, line.split())
        if item is not None:
            yield item


def _lines_of(found: LineFaults, root: Path, faults: list[str]) -> list[str]:
    path = found.file
    if not root.is_dir():
        # One fault, not one for every line.
        faults.append(f"{path}: there is no folder {root} for its paths to start from")
        return []
    try:
        lines = read_lines(path, found.convert)
    except ConfigError as error:
        faults.append(str(error))
        return []
    if not lines:
        faults.append(f"{path}:1: the list is empty")
    return lines


def _parsed(
    lines: list[str], parse: Callable[[int, list[str]], _Line | None], found: LineFaults
) -> Iterator[_Line]:
    form = list_format(found.kind, lines)
    foreign = None if form is None or form.is_standard else form
    if foreign is not None:
        found.add_whole(foreign_fault(foreign, found.file, lines, found.convert))
    extra: dict[str, list[int]] = {}
    for line, text in enumerate(lines, 1):
        fields = text.split()
        if what := _extra(found.kind, form, line, text):
            extra.setdefault(what, []).append(line)
        elif foreign is None or not foreign.fits(text):
            item = parse(line, fields)
            if item is not None:
                yield item
    # The command that converts another format leaves these out.
    if extra and foreign is None:
        found.add_whole(_extra_fault(found, lines, extra))


def _extra(kind: ListKind, form: ListFormat | None, line: int, text: str) -> str | None:
    """Return what a line is that stands beside the lines of a list, None for those."""
    if form is not None and line - 1 == form.header:
        return "header line"
    if not is_extra(text):
        return None
    if not text.strip():
        return "blank line"
    # A speaker's name may begin so too.
    return None if layout_of(kind, text) == STANDARD[kind] else "comment"


def _extra_fault(found: LineFaults, lines: list[str], extra: dict[str, list[int]]) -> str:
    first = min(each[0] for each in extra.values())
    counts = [
        f"{len(each):,} {what}{'s' * (len(each) > 1)} (the first is line {each[0]})"
        for what, each in extra.items()
    ]
    return (
        f"{found.file}:{first}: must be lines {LINE_FORMS[found.kind]!r} only, got "
        f"{short_repr(lines[first - 1].strip())}: {', '.join(counts)}; write a list without them "
        f"with: {found.convert}"
    )
