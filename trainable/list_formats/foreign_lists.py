"""What a list in another format is, in words, and the command that converts it."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from spaces.files.complaints import short_repr
from trainable.list_formats.layouts import (
    JSON,
    LINE_FORMS,
    ListFormat,
    ListKind,
    fields_of,
    is_path,
)

_TRAIN_AND_TRIAL = "give the train list as train_list and the trial list as val_list"


def convert_command(kind: ListKind, file: Path, root: Path) -> str:
    """Return the command that writes a list in Veer's format from one in another."""
    # Absolute, so that no name begins with a dash.
    words = (str(file.absolute()), "--as", kind, "--root", str(root.absolute()))
    return f"veer data convert {shlex.join(words)}"


def foreign_fault(found: ListFormat, file: Path, lines: Sequence[str], command: str) -> str:
    """Return one sentence that names the format of a list, its first line and the fix.

    Args:
        found: The format.
        file: The list.
        lines: Its lines.
        command: The command that converts the list.
    """
    text = lines[found.first].strip()
    return (
        f"{file}:{found.first + 1}: must be lines {LINE_FORMS[found.kind]!r}, got "
        f"{short_repr(text)}, which is {_name(found, text)}; {_fix(found, text, command)}"
    )


def why_not_converted(found: ListFormat, text: str) -> str | None:
    """Return why a list lacks what Veer's format needs, None if it can be converted."""
    if len(found.layout.paths) != _num_paths(found.kind) and found.layout.paths:
        other: ListKind = "trial" if found.kind == "train" else "train"
        return f"it is a {other} list, {text!r}"
    if found.layout.label < 0:
        subject = "speaker" if found.kind == "train" else "label"
        return f"its lines have no {subject}, {text!r}"
    return None


def names_utterances(found: ListFormat, text: str) -> bool:
    """Return whether a line of a list names utterances, as Kaldi does, in place of files."""
    fields = fields_of(text, found.layout.separator)
    # Of spk2utt all columns after the speaker.
    named = [fields[n] for n in found.layout.paths] or fields[1:]
    return not any(map(is_path, named))


def _num_paths(kind: ListKind) -> int:
    return 1 if kind == "train" else 2


def _name(found: ListFormat, text: str) -> str:
    kind, layout = found.kind, found.layout
    if not layout.paths:
        of = ": utterances, not files" if names_utterances(found, text) else " with paths"
        return f"Kaldi's spk2utt{of}"
    if len(layout.paths) != _num_paths(kind):
        return "a trial list" if kind == "train" else "a train list"
    fields = fields_of(text, layout.separator)
    if layout.separator == JSON:
        without = ", without a speaker" * (layout.label < 0)
        return f"lines of JSON, as WeSpeaker's raw.list{without}"
    of_utterances = ", of utterances, not files" * names_utterances(found, text)
    if kind == "train" and of_utterances and layout.label == layout.width - 1:
        return f"Kaldi's utt2spk{of_utterances}"
    is_word = layout.label >= 0 and fields[layout.label].isalpha()
    if kind == "trial" and is_word and layout.label == layout.width - 1 == 2:
        how = f" with {layout.separator!r}" if layout.separator else ""
        return f"the format of Kaldi's trials ('A B target'){how}{of_utterances}"
    return f"another format ({', '.join(_traits(found, fields))}){of_utterances}"


def _traits(found: ListFormat, fields: Sequence[str]) -> list[str]:
    layout, subject = found.layout, "speaker" if found.kind == "train" else "label"
    traits = [f"columns parted by {layout.separator!r}"] if layout.separator else []
    is_last = layout.label == layout.width - 1
    if layout.label < 0:
        traits.append(f"no {subject}")
    elif layout.label != 0:
        where = "last" if is_last else f"in column {layout.label + 1}"
        is_utt2spk = found.kind == "train" and is_last and layout.width == 2
        traits.append(f"the {subject} {where}{', as in utt2spk' * is_utt2spk}")
    if found.kind == "trial" and layout.label >= 0 and fields[layout.label] not in ("0", "1"):
        traits.append(f"{fields[layout.label]!r} as the label")
    more = [n for n in range(layout.width) if n not in (layout.label, *layout.paths)]
    if more:
        named = ", ".join(f"column {n + 1} {short_repr(fields[n])}" for n in more[:3])
        named += ", ..." * (len(more) > 3)
        traits.append(f"{len(more)} column{'s' * (len(more) > 1)} too many: {named}")
    return traits


def _fix(found: ListFormat, text: str, command: str) -> str:
    layout = found.layout
    if layout.paths and len(layout.paths) != _num_paths(found.kind):
        return _TRAIN_AND_TRIAL
    if layout.label < 0:
        name = "1 (same speaker) or 0" if found.kind == "trial" else "the speaker"
        return f"write {name} before the path{'s' * (found.kind == 'trial')}"
    if names_utterances(found, text):
        command += " --wav-scp wav.scp"
        return f"take the files from Kaldi's wav.scp: convert it with: {command}"
    return f"convert it with: {command}"
