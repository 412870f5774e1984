"""A list of another tool, in Veer's format: labels, columns, encoding and paths."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spaces.files.complaints import short_repr
from spaces.files.errors import ConfigError, CorpusError
from trainable.list_formats.foreign_lists import names_utterances, why_not_converted
from trainable.list_formats.layouts import (
    LINE_FORMS,
    ListFormat,
    ListKind,
    fields_of,
    is_extra,
    list_format,
)
from trainable.list_formats.list_labels import is_target_label
from trainable.list_formats.list_paths import ListPaths
from trainable.list_formats.list_text import read_text
from trainable.list_formats.sources import FormatName, format_fault


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedList:
    """A list in Veer's format.

    Attributes:
        lines: Its lines.
        num_left_out: How many lines of each kind were left out: header lines, blank lines, ...
        num_repaired: Number of paths that were written otherwise, as their files are named.
        lacking: Paths without a file below the root, each once; empty if there is no root.
        numbers: Line in the list, from 1, of each of these lines.
    """

    lines: tuple[str, ...]
    numbers: tuple[int, ...]
    num_left_out: Mapping[str, int]
    num_repaired: int
    lacking: tuple[str, ...]


def convert_list(
    kind: ListKind,
    file: Path,
    *,
    root: Path | None = None,
    wav_scp: Path | None = None,
    encoding: str | None = None,
    wanted: FormatName = "auto",
) -> ConvertedList:
    """Return a list in Veer's format.

    Args:
        kind: What the list is.
        file: The list.
        root: Folder of the files; paths are written as they start from it, and as files there
            are named. None to leave the paths as they are.
        wav_scp: Kaldi's file with lines 'UTTERANCE PATH', for a list of utterances.
        encoding: How the list is encoded; None to find that out.
        wanted: The format that it should have.

    Raises:
        ConfigError: A file cannot be read, or the format is not recognised or another one.
        CorpusError: Lines that cannot be converted; names each.
    """
    text = read_text(file, encoding)
    found = list_format(kind, text.lines)
    first = next((n for n, line in enumerate(text.lines) if not is_extra(line)), None)
    if first is None:
        raise ConfigError(f"{file}: the list is empty")
    if found is None:
        raise ConfigError(
            f"{file}:{first + 1}: the format of the list is not recognised; lines must hold the "
            f"columns of {LINE_FORMS[kind]!r} in any order, got {short_repr(text.lines[first])}"
        )
    line = text.lines[found.first]
    if (fault := format_fault(wanted, found, text.lines)) is not None:
        raise ConfigError(f"{file}:{found.first + 1}: {fault}")
    if (why := why_not_converted(found, line)) is not None:
        raise ConfigError(f"{file}:{found.first + 1}: the list cannot be converted: {why}")
    if names_utterances(found, line) and wav_scp is None:
        raise ConfigError(
            f"{file}:{found.first + 1}: the list names utterances, not files, {short_repr(line)}; "
            "name Kaldi's file with lines 'UTTERANCE PATH', by wav_scp: wav.scp in corpus.yaml or "
            "by --wav-scp wav.scp"
        )
    paths = ListPaths(root, wav_scp)
    header = [] if found.header is None else text.lines[found.header].lower().split(",")
    has_segments = {"start", "stop"} <= {name.strip() for name in header}
    return _Conversion(found, file, paths, has_segments=has_segments).of(text.lines)


class _Conversion:
    def __init__(
        self, found: ListFormat, file: Path, paths: ListPaths, *, has_segments: bool
    ) -> None:
        self._found, self._file, self._paths = found, file, paths
        self._left_out: Counter[str] = Counter()
        self._faults: list[str] = []
        # Rows so far, of a list whose lines are segments of files: Veer takes whole files.
        self._segments: set[str] | None = set() if has_segments else None

    def of(self, lines: list[str]) -> ConvertedList:
        numbered = [(n + 1, row) for n, text in enumerate(lines) for row in self._line(n, text)]
        if self._faults:
            raise CorpusError(self._faults)
        return ConvertedList(
            lines=tuple(line for _, line in numbered),
            numbers=tuple(number for number, _ in numbered),
            num_left_out=dict(self._left_out),
            num_repaired=self._paths.repaired.total(),
            lacking=tuple(self._paths.lacking),
        )

    def _line(self, position: int, text: str) -> Iterator[str]:
        if position == self._found.header:
            self._left_out["header line"] += 1
        elif is_extra(text) and not self._found.fits(text):
            self._left_out["comment" if text.strip() else "blank line"] += 1
        else:
            try:
                for row in self._rows(text):
                    if self._segments is not None and row in self._segments:
                        self._left_out["further segment"] += 1
                        continue
                    if self._segments is not None:
                        self._segments.add(row)
                    yield row
            except ValueError as error:
                self._faults.append(f"{self._file}:{position + 1}: {error}")

    def _rows(self, text: str) -> Iterator[str]:
        layout = self._found.layout
        fields = fields_of(text, layout.separator)
        if not layout.paths:  # spk2utt
            yield from (f"{fields[0]} {self._paths.of(each)}" for each in fields[1:])
            return
        if len(fields) != layout.width:
            is_open = ", in which a quote is not closed" * (text.count('"') % 2)
            raise ValueError(
                f"must have {layout.width} columns, as the lines above, got "
                f"{short_repr(text.strip())}{is_open}"
            )
        label = fields[layout.label]
        if self._found.kind == "trial":
            is_target = is_target_label(label)
            if is_target is None:
                raise ValueError(f"the label must be 1 or 0, got {short_repr(label)}")
            label = str(int(is_target))
        # A name of a table may have spaces, that of a list may not.
        label = "_".join(label.split())
        yield " ".join([label, *(self._paths.of(fields[n]) for n in layout.paths)])
