"""The utterances of a list, whatever kind of list it is: each file once."""

from dataclasses import dataclass
from pathlib import Path

from spaces.files.complaints import short_repr
from spaces.files.errors import CorpusError
from trainable.list_formats.list_text import read_lines
from trainable.list_formats.listed_files import ListedFiles

FORMS = "'PATH', 'NAME PATH' (a train list, wav.scp) or '1|0 PATH_A PATH_B' (a trial list)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedUtterances:
    """The utterances of a list, in the order of their first lines.

    Attributes:
        paths: Their files, relative to the root.
        names: Their names where every line has one of its own, as in wav.scp; else the paths.
    """

    paths: tuple[str, ...]
    names: tuple[str, ...]


def read_utterances(file: Path, root: Path) -> NamedUtterances:
    """Read the utterances of a list; no audio is opened.

    Raises:
        ConfigError: The list cannot be read.
        CorpusError: The list has faults; names each with its line.
    """
    files, faults = ListedFiles(root), list[str]()
    name_of: dict[str, str] = {}
    names: list[str] = []
    for number, line in enumerate(read_lines(file), 1):
        fields = line.split()
        if not _is_known(fields):
            faults.append(f"{file}:{number}: must be {FORMS}, got {short_repr(line)}")
            continue
        if len(fields) == 2:
            names.append(fields[0])
        for path in fields[1 if len(fields) > 1 else 0 :]:
            relative = files.relative(path)
            if relative in name_of:
                continue
            if (fault := files.fault(relative)) is not None:
                faults.append(f"{file}:{number}: {fault}")
            name_of[relative] = fields[0] if len(fields) == 2 else relative
    if not name_of and not faults:
        faults.append(f"{file}:1: the list is empty")
    if faults:
        raise CorpusError(faults)
    paths = tuple(name_of)
    own = len(set(names)) == len(names) == len(paths)
    return NamedUtterances(paths=paths, names=tuple(name_of.values()) if own else paths)


def _is_known(fields: list[str]) -> bool:
    return len(fields) in (1, 2) or (len(fields) == 3 and fields[0] in ("0", "1"))
