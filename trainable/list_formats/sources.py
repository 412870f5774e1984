"""The formats of lists that a corpus may name, and which of them a list has."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainable.list_formats.foreign_lists import names_utterances
from trainable.list_formats.layouts import JSON, ListFormat, fields_of

FormatName = Literal["auto", "veer", "kaldi", "wespeaker", "speechbrain", "table"]

_IN_WORDS: dict[FormatName, str] = {
    "veer": "Veer's own (SPEAKER PATH, 1|0 PATH_A PATH_B)",
    "kaldi": "Kaldi's (utt2spk, spk2utt, trials A B target|nontarget)",
    "wespeaker": "WeSpeaker's raw.list (lines of JSON)",
    "speechbrain": "SpeechBrain's CSV (ID, duration, wav, start, stop, spk_id)",
    "table": "a table of other columns",
}
# WeSpeaker's trials are Kaldi's, and SpeechBrain's those of voxceleb_trainer.
_ALSO: dict[tuple[FormatName, str], tuple[FormatName, ...]] = {
    ("wespeaker", "train"): ("kaldi",),
    ("wespeaker", "trial"): ("kaldi", "veer"),
    ("speechbrain", "trial"): ("veer",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSource:
    """Where the lists of a corpus come from.

    Attributes:
        format: Their format; `auto` for any that is recognised.
        wav_scp: Kaldi's file with lines 'UTTERANCE PATH'; None if the lists name files.
    """

    format: FormatName = "veer"
    wav_scp: Path | None = None


VEER_LISTS = ListSource()


def format_fault(wanted: FormatName, found: ListFormat, lines: Sequence[str]) -> str | None:
    """Return how a list differs from the format that it should have, None if it does not."""
    name = _format_of(found, lines)
    if name in (wanted, *_ALSO.get((wanted, found.kind), ())) or wanted == "auto":
        return None
    return (
        f"the format must be {wanted}, {_IN_WORDS[wanted]}, got {name}, {_IN_WORDS[name]}; give "
        f"the format {name}, or another list"
    )


def _format_of(found: ListFormat, lines: Sequence[str]) -> FormatName:
    layout, text = found.layout, lines[found.first]
    if found.is_standard and not names_utterances(found, text):
        return "veer"
    if layout.separator == JSON:
        return "wespeaker"
    header = [] if found.header is None else fields_of(lines[found.header], layout.separator)
    if "wav" in header and layout.separator == ",":
        return "speechbrain"
    if layout.separator:
        return "table"
    is_trial = found.kind == "trial"
    is_last = layout.label == layout.width - 1 == (2 if is_trial else 1)
    if names_utterances(found, text) or not layout.paths or is_last:
        return "kaldi"
    return "table"
