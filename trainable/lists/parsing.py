"""Train lists and trial lists, parsed line by line; every fault names its file and line.

The formats are those of voxceleb_trainer: `SPEAKER PATH` and `1|0 PATH_A PATH_B`, with paths
relative to a root folder. An absolute path inside the root is taken as relative to it.
"""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from spaces.files.complaints import short_repr
from spaces.files.errors import ConfigError
from trainable.lists.list_formats import (
    LINE_FORMS,
    STANDARD,
    ForeignFormat,
    ListKind,
    foreign_format,
    layout_of,
)
from trainable.lists.listed_files import ListedFiles

_Line = TypeVar("_Line")
_LABELS = {"1": True, "0": False}


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


class LineFaults:
    """The faults of one list; a fault that many lines share is named once, with their number.

    Args:
        file: The list.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._texts: list[str] = []
        self._groups: dict[str, list[int]] = {}  # position in `_texts`, and number of lines

    def add(self, line: int, text: str, group: str | None = None) -> None:
        """Add the fault of a line; only the first text of a group is kept."""
        if group is not None and group in self._groups:
            self._groups[group][1] += 1
            return
        if group is not None:
            self._groups[group] = [len(self._texts), 1]
        self._texts.append(f"{self._file}:{line}: {text}")

    def add_whole(self, text: str) -> None:
        """Add a sentence about the whole list, which names its line itself."""
        self._texts.append(text)

    @property
    def texts(self) -> list[str]:
        """One sentence for each fault or group, in the order of their first lines."""
        texts = list(self._texts)
        for position, num_lines in self._groups.values():
            if num_lines > 1:
                texts[position] += f" ({num_lines:,} such lines)"
        return texts


def parse_train_list(
    path: Path,
    root: Path,
    faults: list[str],
    *,
    check_files: bool = True,
    files: ListedFiles | None = None,
) -> tuple[Utterance, ...]:
    """Read `SPEAKER PATH` lines; add faults to `faults` and return the valid lines.

    Args:
        path: The list.
        root: Folder that the paths start from.
        faults: Receives one sentence for each fault.
        check_files: Whether to check that each audio file exists; false for lists that were
            checked before.
        files: Checks the paths in place of a check of its own, and knows the files afterwards.
    """
    files = files or ListedFiles(root, check_files=check_files)
    found = LineFaults(path)

    def parse(line: int, fields: list[str]) -> Utterance | None:
        if len(fields) != 2:
            found.add(line, _wrong_form("train", fields))
            return None
        audio = _checked(files, found, line, fields[1])
        return None if audio is None else Utterance(path=audio, speaker=fields[0], line=line)

    lines = _lines_of(path, root if check_files else path.parent, faults)
    utterances = tuple(_parsed("train", path, lines, parse, found))
    faults += found.texts
    return utterances


def parse_trial_list(
    path: Path,
    root: Path,
    faults: list[str],
    *,
    check_files: bool = True,
    files: ListedFiles | None = None,
    zero_is_target: bool = False,
) -> tuple[TrialPair, ...]:
    """Read `1|0 PATH_A PATH_B` lines; see `parse_train_list` for the other arguments.

    Args:
        path: The list.
        root: Folder that the paths start from.
        faults: Receives one sentence for each fault.
        check_files: Whether to check that each audio file exists.
        files: Checks the paths in place of a check of its own.
        zero_is_target: Whether 0, not 1, stands for the same speaker.
    """
    files = files or ListedFiles(root, check_files=check_files)
    found = LineFaults(path)

    def parse(line: int, fields: list[str]) -> TrialPair | None:
        if len(fields) != 3:
            found.add(line, _wrong_form("trial", fields))
            return None
        label = _LABELS.get(fields[0])
        if label is None:
            got = short_repr(fields[0])
            found.add(line, f"the label must be 1 (same speaker) or 0, got {got}")
        path_a, path_b = (_checked(files, found, line, each) for each in fields[1:])
        if label is None or path_a is None or path_b is None:
            return None
        is_target = label != zero_is_target
        return TrialPair(is_target=is_target, path_a=path_a, path_b=path_b, line=line)

    lines = _lines_of(path, root if check_files else path.parent, faults)
    pairs = tuple(_parsed("trial", path, lines, parse, found))
    faults += found.texts
    return pairs


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text, without blank ones at its end.

    Raises:
        ConfigError: It cannot be read or is not UTF-8; the message has the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the list cannot be read: {error.strerror}") from error
    try:
        # Editors on Windows put a byte order mark first, which would become part of a speaker.
        return content.decode("utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(_not_utf8(path, content, error.start)) from error


def _not_utf8(path: Path, content: bytes, position: int) -> str:
    name = shlex.quote(str(path))
    new = shlex.quote(str(path.with_name(f"{path.stem}_new{path.suffix or '.txt'}")))
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return (
            f"{path}:1: the list cannot be read: must be UTF-8, got UTF-16; convert it with: "
            f"iconv -f UTF-16 -t UTF-8 {name} > {new}"
        )
    # An error at a byte order mark itself counts from after it.
    start = content.rfind(b"\n", 0, position) + 1
    line = content.count(b"\n", 0, position) + 1
    text = content[start:].split(b"\n", 1)[0].decode("latin-1").strip()
    return (
        f"{path}:{line}: the list cannot be read: must be UTF-8, got the byte "
        f"0x{content[position]:02x} in {short_repr(text)} (as Latin-1); convert the list with: "
        f"iconv -f LATIN1 -t UTF-8 {name} > {new}, and name the files alike"
    )


def _checked(files: ListedFiles, found: LineFaults, line: int, path: str) -> str | None:
    """Return a path relative to the root, None if it has a fault."""
    audio = files.relative(path)
    fault = files.fault(audio)
    if fault is None:
        return audio
    # A linked folder of a thousand files is one fault.
    found.add(line, fault, files.shared_cause(audio))
    return None


def _wrong_form(kind: ListKind, fields: list[str]) -> str:
    return f"must be {LINE_FORMS[kind]!r}, got {short_repr(' '.join(fields))}"


def _lines_of(path: Path, root: Path, faults: list[str]) -> list[str]:
    if not root.is_dir():
        # One fault, not one for every line.
        faults.append(f"{path}: there is no folder {root} for its paths to start from")
        return []
    try:
        lines = read_lines(path)
    except ConfigError as error:
        faults.append(str(error))
        return []
    if not lines:
        faults.append(f"{path}:1: the list is empty")
    return lines


def _parsed(
    kind: ListKind,
    path: Path,
    lines: list[str],
    parse: Callable[[int, list[str]], _Line | None],
    found: LineFaults,
) -> Iterator[_Line]:
    foreign = foreign_format(kind, path, lines)
    if foreign is not None:
        found.add_whole(foreign.fault)
    for line, text in enumerate(lines, 1):
        fields = text.split()
        if _is_named(kind, path, (line, text), foreign, found):
            continue
        item = parse(line, fields)
        if item is not None:
            yield item


def _is_named(
    kind: ListKind,
    path: Path,
    line: tuple[int, str],
    foreign: ForeignFormat | None,
    found: LineFaults,
) -> bool:
    """Return whether a line is one of those that are named once for the whole list."""
    number, text = line
    if foreign is not None and foreign.explains(kind, number - 1, text):
        return True
    if not text.strip():
        fix = f"remove blank lines with: sed -i '/^[[:space:]]*$/d' {shlex.quote(str(path))}"
        found.add(number, f"{_wrong_form(kind, [])}; {fix}", "blank")
        return True
    # A speaker's name may begin so too.
    if text.lstrip().startswith("#") and layout_of(kind, text) != STANDARD[kind]:
        fix = f"remove comments with: sed -i '/^[[:space:]]*#/d' {shlex.quote(str(path))}"
        found.add(number, f"{_wrong_form(kind, text.split())}; {fix}", "comment")
        return True
    return False
