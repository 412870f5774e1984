"""Lists in the formats of other tools, recognised by their first lines, and how to convert them.

A layout says which columns of a line hold what. A list whose first lines share a layout that is
not Veer's is named once, in place of a fault for every line.
"""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from spaces.files.complaints import short_repr

ListKind = Literal["train", "trial"]
LINE_FORMS: dict[ListKind, str] = {"train": "SPEAKER PATH", "trial": "1|0 PATH_A PATH_B"}

_AUDIO_SUFFIXES = frozenset(
    [".wav", ".flac", ".m4a", ".mp3", ".mp4", ".aac", ".sph", ".ogg", ".opus", ".aif", ".aiff"]
)
# Each label of a non-target pair after the label of a target pair that it comes with.
_LABEL_PAIRS = (
    ("1", "0"), ("1", "-1"), ("1.0", "0.0"), ("target", "nontarget"), ("target", "non-target"),
    ("target", "non_target"), ("tgt", "non"), ("tgt", "imp"), ("same", "different"),
    ("same", "diff"), ("true", "false"), ("positive", "negative"), ("genuine", "impostor"),
    ("genuine", "imposter"), ("target", "impostor"), ("target", "imposter"), ("yes", "no"),
)  # fmt: skip
_TARGET_WORDS = frozenset(target for target, _ in _LABEL_PAIRS)
_TARGET_WORD_OF = {other: target for target, other in reversed(_LABEL_PAIRS)}
_SEPARATORS = ("", ",", ";", "|")
# Lines that are looked at to find the layout of a list.
_NUM_FIRST_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the columns of a line hold.

    Attributes:
        separator: What parts the columns; empty for white space.
        label: Column of the label or the speaker, from 0; -1 if there is none.
        paths: Columns of the paths.
        width: Number of columns.
        has_words: Whether the label is a word.
    """

    separator: str
    label: int
    paths: tuple[int, ...]
    width: int
    has_words: bool = False


STANDARD: dict[ListKind, Layout] = {
    "train": Layout(separator="", label=0, paths=(1,), width=2),
    "trial": Layout(separator="", label=0, paths=(1, 2), width=3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFormat:
    """The format of a list that is not Veer's.

    Attributes:
        layout: Columns of its lines; Veer's own if only a header line is too much.
        header: Position of a header line, None if there is none.
        fault: One sentence that names the format, the first line and the fix, with the line.
    """

    layout: Layout
    header: int | None
    fault: str

    def explains(self, kind: ListKind, position: int, text: str) -> bool:
        """Return whether the line at a position is of this format, so that it needs no fault."""
        if position == self.header:
            return True
        return self.layout != STANDARD[kind] and layout_of(kind, text) == self.layout


def foreign_format(kind: ListKind, file: Path, lines: Sequence[str]) -> ForeignFormat | None:
    """Return the format of a list, None if it is Veer's or not recognised.

    Args:
        kind: What the list should be.
        file: The list, for the message.
        lines: Its lines.
    """
    content = [n for n, text in enumerate(map(str.lstrip, lines)) if text and text[0] != "#"]
    header = _header(kind, [(n, lines[n]) for n in content[:2]])
    first = content[:_NUM_FIRST_LINES] if header is None else content[1 : _NUM_FIRST_LINES + 1]
    layouts = [layout_of(kind, lines[n]) for n in first]
    layout = layouts[0] if layouts else None
    # Most of the first lines must agree: one wrong line is a fault, not a format.
    if layout is None or 2 * layouts.count(layout) <= len(layouts):
        return None
    if layout == STANDARD[kind]:
        return None if header is None else _header_alone(kind, file, header, lines[header])
    at = first[0]
    fault = (
        f"{file}:{at + 1}: must be lines {LINE_FORMS[kind]!r}, got {short_repr(lines[at].strip())}"
        f", which is {_name(kind, layout, lines[at])}; {_fix(kind, file, lines, layout, header)}"
    )
    return ForeignFormat(layout=layout, header=header, fault=fault)


def _header(kind: ListKind, first: Sequence[tuple[int, str]]) -> int | None:
    """Return the position of a header line: the first line names columns, the second is data."""
    if len(first) < 2 or layout_of(kind, first[1][1]) is None:
        return None
    if (alone := layout_of(kind, first[0][1])) is not None and alone != STANDARD[kind]:
        return None
    position, text = first[0]
    fields = re.split(r"[\s,;|]+", text.strip())
    is_data = any(_is_path(each) or _is_label(each) or _is_number(each) for each in fields)
    return None if is_data or len(fields) < 2 else position


def _header_alone(kind: ListKind, file: Path, header: int, text: str) -> ForeignFormat:
    fault = (
        f"{file}:{header + 1}: must be lines {LINE_FORMS[kind]!r}, got "
        f"{short_repr(text.strip())}, a header line; remove it with: sed -i {header + 1}d "
        f"{shlex.quote(str(file))}"
    )
    return ForeignFormat(layout=STANDARD[kind], header=header, fault=fault)


def layout_of(kind: ListKind, text: str) -> Layout | None:
    """Return the layout of a line, None if it is not recognised."""
    find = _train_layout if kind == "train" else _trial_layout
    found = (find(_split(text, separator), separator) for separator in _SEPARATORS)
    return next((layout for layout in found if layout is not None), None)


def _trial_layout(fields: list[str], separator: str) -> Layout | None:
    labels = [n for n, field in enumerate(fields) if _is_label(field)]
    rest = [n for n, f in enumerate(fields) if n not in labels and not _is_number(f)]
    if _train_layout(fields, separator) == STANDARD["train"]:
        return STANDARD["train"]
    # Without labels only paths tell what the line is.
    if len(rest) != 2 or not (labels or (len(fields) == 2 and all(map(_is_path, fields)))):
        return None
    # More than one where lengths follow that happen to be 0 or 1.
    label = -1 if not labels else labels[0] if labels[0] == 0 else labels[-1]
    is_word = label >= 0 and not _is_number(fields[label])
    return Layout(
        separator=separator, label=label, paths=tuple(rest), width=len(fields), has_words=is_word
    )


def _train_layout(fields: list[str], separator: str) -> Layout | None:
    paths = [n for n, field in enumerate(fields) if _is_path(field)]
    rest = [n for n in range(len(fields)) if n not in paths]
    if len(paths) == 2 and len(fields) == 3 and rest and _is_label(fields[rest[0]]):
        return Layout(separator=separator, label=rest[0], paths=tuple(paths), width=3)
    if not paths and len(fields) == 2 and fields[0] != fields[1]:
        # Kaldi's utterance names begin with the speaker's.
        is_utt2spk = fields[0].startswith(fields[1])
        return Layout(separator="", label=1, paths=(), width=2) if is_utt2spk else None
    names = [n for n in rest if not _is_number(fields[n])] or rest[:1]
    if len(paths) != 1 or len(names) > 1:
        return None
    label = names[0] if names else -1
    return Layout(separator=separator, label=label, paths=(paths[0],), width=len(fields))


def _name(kind: ListKind, layout: Layout, text: str) -> str:
    if kind == "train" and len(layout.paths) != 1:
        return (
            "a trial list"
            if layout.paths
            else "Kaldi's utt2spk: utterances, not files"
        )
    if kind == "trial" and len(layout.paths) == 1:
        return "a train list"
    subject = "speaker" if kind == "train" else "label"
    is_last = layout.label == layout.width - 1
    if kind == "trial" and layout.has_words and is_last and layout.width == 3:
        kaldi = "the format of Kaldi's trials ('A B target')"
        return kaldi if not layout.separator else f"{kaldi} with {layout.separator!r}"
    traits = [f"columns parted by {layout.separator!r}"] if layout.separator else []
    if layout.label < 0:
        traits.append(f"no {subject}")
    elif layout.label != 0:
        where = "last" if is_last else f"in column {layout.label + 1}"
        is_utt2spk = kind == "train" and is_last and layout.width == 2
        traits.append(f"the {subject} {where}{', as in utt2spk' * is_utt2spk}")
    if layout.has_words:
        traits.append(f"the word {_split(text, layout.separator)[layout.label]!r} as the label")
    num_more = layout.width - len(layout.paths) - (layout.label >= 0)
    if num_more:
        traits.append(f"{num_more} column{'s' * (num_more > 1)} too many")
    return f"another format ({', '.join(traits)})"


def _fix(
    kind: ListKind, file: Path, lines: Sequence[str], layout: Layout, header: int | None
) -> str:
    if len(layout.paths) == (2 if kind == "train" else 1):
        return "give the train list as train_list and the trial list as val_list"
    if not layout.paths:
        return (
            "take the files from wav.scp: join utt2spk wav.scp | awk '{print $2, $3}' > "
            "train_list.txt"
        )
    if layout.label < 0:
        name = "1 (same speaker) or 0" if kind == "trial" else "the speaker"
        return f"write {name} before the path{'s' * (kind == 'trial')}"
    start = 0 if header is None else header + 1
    text = next(lines[n] for n in range(start, len(lines)) if layout_of(kind, lines[n]) == layout)
    columns = [_awk_label(layout, text, kind), *(f"${n + 1}" for n in layout.paths)]
    # Quotes of a CSV, blank lines and comments are dropped on the way.
    where = "" if header is None else f"NR > {header + 1} && "
    where += "NF && $1 !~ /^ *#/"
    separator = f" -F{shlex.quote(layout.separator)}" if layout.separator else ""
    quotes = '{gsub(/"/, "")} ' if layout.separator and '"' in text else ""
    new = file.with_name(f"{file.stem}_new{file.suffix or '.txt'}")
    program = f"{quotes}{where} {{print {', '.join(columns)}}}"
    return f"convert it with: awk{separator} '{program}' {shlex.quote(str(file))} > " + (
        shlex.quote(str(new))
    )


def _awk_label(layout: Layout, text: str, kind: ListKind) -> str:
    column = f"${layout.label + 1}"
    label = _split(text, layout.separator)[layout.label]
    if kind == "train":
        return column
    if not layout.has_words:
        # Also of -1 and of 1.0, which stand for 0 and 1. Plus 0: with the carriage return of a
        # file from Windows the field is text, which is above 0 whatever it has.
        return f"({column} + 0 > 0)"
    word = _TARGET_WORD_OF.get(label.lower(), label.lower())
    same_case: Callable[[str], str] = (
        str.upper if label.isupper() else str.capitalize if label[0].isupper() else str
    )
    # Not `==`: files from Windows have a carriage return after the last column.
    return f"({column} ~ /^ *{same_case(word)}/)"


def _split(text: str, separator: str) -> list[str]:
    if not separator:
        return text.split()
    return [field.strip().strip('"').strip() for field in text.split(separator)]


def _is_label(field: str) -> bool:
    return field.lower() in _TARGET_WORDS or field.lower() in _TARGET_WORD_OF


def _is_path(field: str) -> bool:
    if any(character.isspace() or character in ",;|" for character in field):
        return False
    return "/" in field or "\\" in field or PurePath(field).suffix.lower() in _AUDIO_SUFFIXES


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
