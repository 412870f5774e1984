"""Lists in the formats of other tools, recognised by their first lines.

A layout says which columns of a line hold what. A list whose first lines share a layout that is
not Veer's is named once, in place of a fault for every line.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from trainable.list_formats.list_labels import is_label

ListKind = Literal["train", "trial"]
LINE_FORMS: dict[ListKind, str] = {"train": "SPEAKER PATH", "trial": "1|0 PATH_A PATH_B"}

_AUDIO_SUFFIXES = frozenset(
    [".wav", ".flac", ".m4a", ".mp3", ".mp4", ".aac", ".sph", ".ogg", ".opus", ".aif", ".aiff",
     ".w64", ".wv", ".raw", ".pcm", ".amr", ".wma"]
)  # fmt: skip
# What parts the columns; of lines of JSON the columns are the values, by the names of the keys.
JSON = "{}"
_SEPARATORS = (JSON, "", ",", ";", "|")
# Names of columns, as SpeechBrain, Common Voice and spreadsheets have them, without _ and case.
_SPEAKER_NAMES = ("spk", "spkid", "speaker", "speakerid", "clientid", "spkr", "label")
_PATH_NAMES = ("wav", "path", "audio", "audiofilepath", "file", "wavpath", "filepath")
_LABEL_NAMES = ("label", "target", "istarget", "same", "issame", "match", "y", "labels")
_PARTED = re.compile(r"[\s,;|]")
# Of a line with columns: a line of Kaldi's `spk2utt` has all utterances of a speaker.
_MAX_CHARS = 1_000_000
# Lines that are looked at to find the layout of a list.
_NUM_FIRST_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the columns of a line hold.

    Attributes:
        separator: What parts the columns; empty for white space, `JSON` for objects.
        label: Column of the label or the speaker, from 0; -1 if there is none.
        paths: Columns of the paths.
        width: Number of columns.
    """

    separator: str
    label: int
    paths: tuple[int, ...]
    width: int


STANDARD: dict[ListKind, Layout] = {
    "train": Layout(separator="", label=0, paths=(1,), width=2),
    "trial": Layout(separator="", label=0, paths=(1, 2), width=3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFormat:
    """The format that most of the first lines of a list have.

    Attributes:
        kind: What the list should be.
        layout: Columns of its lines.
        header: Position of a header line, None if there is none.
        first: Position of the first other line.
    """

    kind: ListKind
    layout: Layout
    header: int | None
    first: int

    @property
    def is_standard(self) -> bool:
        """Whether its lines are Veer's."""
        return self.layout == STANDARD[self.kind]

    def fits(self, text: str) -> bool:
        """Return whether a line has this format."""
        if layout_of(self.kind, text) == self.layout:
            return True
        # Found by the names of a header, or with words that are known in their place only.
        fields = fields_of(text, self.layout.separator)
        if len(fields) != self.layout.width or self.layout.label < 0:
            return False
        label, paths = fields[self.layout.label], [fields[n] for n in self.layout.paths]
        return all(map(is_path, paths)) and (self.kind == "train" or is_label(label))


def is_extra(text: str) -> bool:
    """Return whether a line is blank, a comment, or the rule below a table's header."""
    text = text.strip()
    return not text or text[0] == "#" or (text[0] == "|" and not text.strip("|-: "))


def list_format(kind: ListKind, lines: Sequence[str]) -> ListFormat | None:
    """Return the format of a list, None if it is not recognised.

    Args:
        kind: What the list should be.
        lines: Its lines.
    """
    content = [n for n, text in enumerate(lines) if not is_extra(text)]
    header = _header(kind, [(n, lines[n]) for n in content[:2]])
    first = content[:_NUM_FIRST_LINES] if header is None else content[1 : _NUM_FIRST_LINES + 1]
    layouts = Counter(layout_of(kind, lines[n]) for n in first)
    if header is not None and (named := _by_header(kind, lines[header], lines[first[0]])):
        return ListFormat(kind=kind, layout=named, header=header, first=first[0])
    layout, count = layouts.most_common(1)[0] if layouts else (None, 0)
    # Most of the first lines must agree: one wrong line is a fault, not a format.
    if layout is None or 2 * count <= len(first):
        return None
    at = next(n for n in first if layout_of(kind, lines[n]) == layout)
    return ListFormat(kind=kind, layout=layout, header=header, first=at)


def _header(kind: ListKind, first: Sequence[tuple[int, str]]) -> int | None:
    """Return the position of a header line: the first line names columns, the second is data."""
    if len(first) < 2 or any(len(text) > _MAX_CHARS for _, text in first):
        return None
    (position, text), (_, below) = first
    fields, data = (_any_fields(each) for each in (text, below))
    if len(fields) < 2 or any(is_path(each) or _is_number(each) for each in fields):
        return None
    # `same` may be a label, or the name of its column; the line below has paths.
    if any(map(is_path, data)):
        return position
    # Names of utterances look like names of columns.
    is_data = any(is_label(each) for each in fields) or layout_of(kind, text) is not None
    return None if is_data or layout_of(kind, below) is None else position


def _by_header(kind: ListKind, header: str, below: str) -> Layout | None:
    """Return the layout that the names of columns give where the line below has several ways."""
    for separator in _SEPARATORS:
        fields = [] if separator == JSON else fields_of(below, separator)
        names = [_plain(name) for name in fields_of(header, separator)]
        paths = tuple(n for n, field in enumerate(fields) if is_path(field))
        named = [n for n in paths if n < len(names) and names[n] in _PATH_NAMES]
        # An utterance's name may look like a path.
        paths = tuple(named) if len(named) == len(STANDARD[kind].paths) else paths
        if len(names) != len(fields) or len(fields) < 2:
            continue
        wanted = _SPEAKER_NAMES if kind == "train" else _LABEL_NAMES
        labels = [names.index(name) for name in wanted if name in names]
        if not labels or len(paths) != len(STANDARD[kind].paths) or labels[0] in paths:
            continue
        if kind == "train" or is_label(fields[labels[0]]):
            return Layout(separator=separator, label=labels[0], paths=paths, width=len(fields))
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _any_fields(text: str) -> list[str]:
    return [field for field in re.split(r"[\s,;|\"]+", text) if field]


def layout_of(kind: ListKind, text: str) -> Layout | None:
    """Return the layout of a line, None if it is not recognised."""
    if len(text) > _MAX_CHARS:
        return None
    if text.lstrip()[:1] == "{":
        return _json_layout(kind, text)
    find = _train_layout if kind == "train" else _trial_layout
    found = (find(fields_of(text, separator), separator) for separator in _SEPARATORS)
    return next((layout for layout in found if layout is not None), None)


def _json_layout(kind: ListKind, text: str) -> Layout | None:
    names = [_plain(name) for name in sorted(_json_of(text))]
    labels = [names.index(name) for name in _SPEAKER_NAMES if name in names]
    paths = [names.index(name) for name in _PATH_NAMES if name in names]
    if kind != "train" or not paths:
        return None
    label = labels[0] if labels else -1
    return Layout(separator=JSON, label=label, paths=(paths[0],), width=len(names))


def _json_of(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _trial_layout(fields: list[str], separator: str) -> Layout | None:
    labels = [n for n, field in enumerate(fields) if is_label(field)]
    rest = [n for n, f in enumerate(fields) if n not in labels and not _is_number(f)]
    if _train_layout(fields, separator) == STANDARD["train"]:
        return STANDARD["train"]
    if not labels and rest == [1, 2] and len(fields) == 3:  # a number that is no label
        return Layout(separator=separator, label=0, paths=(1, 2), width=3)
    # Without labels only paths tell what the line is.
    if len(rest) != 2 or not (labels or all(is_path(fields[n]) for n in rest)):
        return None
    # More than one where lengths follow that happen to be 0 or 1.
    label = -1 if not labels else labels[0] if labels[0] == 0 else labels[-1]
    return Layout(separator=separator, label=label, paths=tuple(rest), width=len(fields))


def _train_layout(fields: list[str], separator: str) -> Layout | None:
    paths = [n for n, field in enumerate(fields) if is_path(field)]
    rest = [n for n in range(len(fields)) if n not in paths]
    is_listed = len(paths) > 1 and rest == [0] and not separator
    if is_listed and not (len(paths) == 2 and is_label(fields[0])):  # spk2utt with paths
        return Layout(separator="", label=0, paths=(), width=0)
    if len(paths) == 2 and len(fields) == 3 and rest and is_label(fields[rest[0]]):
        return Layout(separator=separator, label=rest[0], paths=tuple(paths), width=3)
    if not paths and len(fields) >= 2 and fields[0] != fields[1]:
        return _kaldi_layout(fields, separator)
    names = [n for n in rest if not _is_number(fields[n])] or rest[:1]
    if len(paths) != 1 or len(names) > 1:
        return None
    label = names[0] if names else -1
    return Layout(separator=separator, label=label, paths=(paths[0],), width=len(fields))


def _kaldi_layout(fields: list[str], separator: str) -> Layout | None:
    if not all(fields):
        return None
    # Kaldi's utterance names begin with the speaker's.
    if len(fields) == 2 and fields[0].startswith(fields[1]):
        return Layout(separator=separator, label=1, paths=(0,), width=2)
    if all(each.startswith(fields[0]) and each != fields[0] for each in fields[1:]):
        # As many utterances as the speaker has: not a width that lines share.
        return Layout(separator=separator, label=0, paths=(), width=0)
    return None


def fields_of(text: str, separator: str) -> list[str]:
    """Return the columns of a line; none if a quote is not closed."""
    if separator == JSON:
        return [str(value) for _, value in sorted(_json_of(text).items())]
    if not separator:
        fields = text.split()
        # Of columns parted by a comma and a space.
        return [] if any(field[-1] in ",;|" for field in fields) else fields
    if separator not in text or text.count('"') % 2:
        return []
    if separator == "|" and text.strip()[:1] == text.strip()[-1:] == "|":  # a table's outer bars
        text = text.strip()[1:-1]
    try:
        row = next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # a column of more than 100,000 characters
        return []
    return [field.strip() for field in row]


def is_path(field: str) -> bool:
    """Return whether a column is a path by its look."""
    if _PARTED.search(field):
        return False
    if "/" in field or "\\" in field:
        return True
    return "." in field and PurePath(field).suffix.lower() in _AUDIO_SUFFIXES


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
