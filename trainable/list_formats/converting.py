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
    is_path,
    list_format,
)
from trainable.list_formats.list_labels import is_target_label
from trainable.list_formats.list_text import read_text
from trainable.list_formats.listed_files import ListedFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedList:
    """A list in Veer's format.

    Attributes:
        lines: Its lines.
        num_left_out: How many lines of each kind were left out: header lines, blank lines, ...
        num_repaired: Number of paths that were written otherwise, as their files are named.
        lacking: Paths without a file below the root, each once; empty if there is no root.
    """

    lines: tuple[str, ...]
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
) -> ConvertedList:
    """Return a list in Veer's format.

    Args:
        kind: What the list is.
        file: The list.
        root: Folder of the files; paths are written as they start from it, and as files there
            are named. None to leave the paths as they are.
        wav_scp: Kaldi's file with lines 'UTTERANCE PATH', for a list of utterances.
        encoding: How the list is encoded; None to find that out.

    Raises:
        ConfigError: A file cannot be read, or the format is not recognised.
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
    if (why := why_not_converted(found, line)) is not None:
        raise ConfigError(f"{file}:{found.first + 1}: the list cannot be converted: {why}")
    is_kaldi = not found.layout.paths or names_utterances(found, line)
    if is_kaldi and wav_scp is None:
        raise ConfigError(
            f"{file}:{found.first + 1}: the list names utterances, not files, {short_repr(line)}; "
            "give --wav-scp wav.scp, the file of Kaldi with lines 'UTTERANCE PATH'"
        )
    paths = _Paths(root, wav_scp if is_kaldi else None)
    return _Conversion(found, file, paths).of(text.lines)


class _Paths:
    """The paths of a converted list: files for utterances, below the root, without faults."""

    def __init__(self, root: Path | None, wav_scp: Path | None) -> None:
        if root is not None and not root.is_dir():
            raise ConfigError(f"there is no folder {root}")
        self._files = None if root is None else ListedFiles(root)
        self._wav_scp = wav_scp
        self._path_of = {} if wav_scp is None else _read_wav_scp(wav_scp)
        self.repaired: Counter[str] = Counter()
        self.lacking: dict[str, None] = {}

    def of(self, name: str) -> str:
        """Return the path to write for a path or an utterance of the list.

        Raises:
            ValueError: There is none; states why.
        """
        path = name
        if self._wav_scp is not None:
            if name not in self._path_of:
                raise ValueError(f"{self._wav_scp} has no utterance {short_repr(name)}")
            path = self._path_of[name]
        if len(path.split()) != 1:
            raise ValueError(f"a path must not have white space, got {short_repr(path)}")
        if self._files is None:
            return path
        written = self._files.relative(path)
        if self._files.fault(written) is not None:
            near = self._files.near(written)
            if near is None:
                self.lacking.setdefault(path)
            written = written if near is None else near.path
        self.repaired[path] += written != path
        return written


class _Conversion:
    def __init__(self, found: ListFormat, file: Path, paths: _Paths) -> None:
        self._found, self._file, self._paths = found, file, paths
        self._left_out: Counter[str] = Counter()
        self._faults: list[str] = []

    def of(self, lines: list[str]) -> ConvertedList:
        written = [each for n, text in enumerate(lines) for each in self._line(n, text)]
        if self._faults:
            raise CorpusError(self._faults)
        return ConvertedList(
            lines=tuple(written),
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
                yield from self._rows(text)
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


def _read_wav_scp(file: Path) -> dict[str, str]:
    """Read Kaldi's wav.scp; of a command that ends with `|`, the one file that it reads."""
    path_of = {}
    for number, line in enumerate(read_text(file).lines, 1):
        name, _, path = line.strip().partition(" ") if " " in line else line.partition("\t")
        words = path.split()
        if words and words[-1] == "|":
            words = [word for word in words if is_path(word) and word.endswith((".wav", ".flac"))]
        if len(words) != 1 and name:
            raise ConfigError(
                f"{file}:{number}: must be 'UTTERANCE PATH', got {short_repr(line)}; write files "
                "with the command, and their paths in its place"
            )
        if name:
            path_of[name] = words[0]
    return path_of
