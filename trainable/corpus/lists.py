"""Train lists and trial lists, parsed line by line; every fault names its file and line.

The formats are those of voxceleb_trainer: `SPEAKER PATH` and `1|0 PATH_A PATH_B`, with paths
relative to a root folder.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from spaces.files.complaints import short_repr

_Line = TypeVar("_Line")

# PATH_MAX of Linux: no file has a longer path, and the system refuses to look one up.
MAX_PATH_CHARS = 4096
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


def parse_train_list(
    path: Path, root: Path, faults: list[str], *, check_files: bool = True
) -> tuple[Utterance, ...]:
    """Read `SPEAKER PATH` lines; add faults to `faults` and return the valid lines.

    Args:
        path: The list.
        root: Folder that the paths start from.
        faults: Receives one sentence for each fault.
        check_files: Whether to check that each audio file exists; false for lists that were
            checked before.
    """
    files = _Files(root, check_files=check_files)

    def parse(listed_at: str, line: int, fields: list[str]) -> Utterance | None:
        if len(fields) != 2:
            faults.append(
                f"{listed_at}: must be 'SPEAKER PATH', got {short_repr(' '.join(fields))}"
            )
            return None
        speaker, audio = fields
        if fault := files.fault(audio):
            faults.append(f"{listed_at}: {fault}")
            return None
        return Utterance(path=audio, speaker=speaker, line=line)

    return _parse(path, root if check_files else path.parent, parse, faults)


def parse_trial_list(
    path: Path, root: Path, faults: list[str], *, check_files: bool = True
) -> tuple[TrialPair, ...]:
    """Read `1|0 PATH_A PATH_B` lines; see `parse_train_list` for the arguments."""
    files = _Files(root, check_files=check_files)

    def parse(listed_at: str, line: int, fields: list[str]) -> TrialPair | None:
        if len(fields) != 3:
            got = short_repr(" ".join(fields))
            faults.append(f"{listed_at}: must be '1|0 PATH_A PATH_B', got {got}")
            return None
        label, path_a, path_b = fields
        found = [fault for audio in (path_a, path_b) if (fault := files.fault(audio))]
        if label not in _LABELS:
            found.insert(0, f"the label must be 1 (same speaker) or 0, got {short_repr(label)}")
        faults.extend(f"{listed_at}: {fault}" for fault in found)
        if found:
            return None
        return TrialPair(is_target=_LABELS[label], path_a=path_a, path_b=path_b, line=line)

    return _parse(path, root if check_files else path.parent, parse, faults)


def speaker_of(path: str) -> str:
    """Return the speaker of a path in a list that names no speakers: its first folder."""
    return PurePosixPath(path).parts[0]


def _parse(
    path: Path,
    root: Path,
    parse: Callable[[str, int, list[str]], _Line | None],
    faults: list[str],
) -> tuple[_Line, ...]:
    if not root.is_dir():
        # One fault, not one for every line.
        faults.append(f"{path}: there is no folder {root} for its paths to start from")
        return ()
    try:
        # Editors on Windows put a byte order mark first, which would become part of a speaker.
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        faults.append(f"{path}: the list cannot be read: {reason}")
        return ()
    if not lines:
        faults.append(f"{path}:1: the list is empty")
    return tuple(_parsed(path, lines, parse))


def _parsed(
    path: Path, lines: list[str], parse: Callable[[str, int, list[str]], _Line | None]
) -> Iterator[_Line]:
    for line, text in enumerate(lines, 1):
        item = parse(f"{path}:{line}", line, text.split())
        if item is not None:
            yield item


class _Files:
    """Checks of relative paths against a root; every file and folder is looked up once."""

    def __init__(self, root: Path, *, check_files: bool) -> None:
        self._root = root.resolve()
        self._check_files = check_files
        self._file_faults: dict[str, str | None] = {}
        self._inside: dict[Path, bool] = {}

    def fault(self, path: str) -> str | None:
        """Return what is wrong with a path, None if nothing is or nothing is checked."""
        if self._check_files and path not in self._file_faults:
            self._file_faults[path] = self._find_fault(path)
        return self._file_faults.get(path)

    def _find_fault(self, path: str) -> str | None:
        if len(path) > MAX_PATH_CHARS:
            return f"a path must have at most {MAX_PATH_CHARS:,} characters, got {len(path):,}"
        if _is_outside(path):
            return f"the path must stay inside {self._root}, got {path!r}"
        file = self._root / path
        try:
            if not file.is_file():
                return f"there is no audio file {file}"
        except OSError as error:
            return f"the audio file {file} cannot be reached: {error.strerror}"
        # Resolving each of a million files is slow: folders repeat, links are rare.
        target = file.resolve() if file.is_symlink() else file
        if not self._is_inside(target.parent):
            return f"the path must stay inside {self._root}, got {path!r}, a link to outside"
        return None

    def _is_inside(self, folder: Path) -> bool:
        if folder not in self._inside:
            self._inside[folder] = folder.resolve().is_relative_to(self._root)
        return self._inside[folder]


def _is_outside(path: str) -> bool:
    """Return whether a path leads out of its root as it is written, on this or another system."""
    # Windows paths too: a list that is safe on one system must not leave the root on another.
    windows = PureWindowsPath(path)
    return path.startswith("/") or ".." in windows.parts or bool(windows.anchor)
