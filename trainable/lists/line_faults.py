"""The faults of one list, each with its line; those of many lines once, with their number."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from trainable.list_formats.foreign_lists import convert_command
from trainable.list_formats.layouts import ListKind

# Faults of a kind that are named one by one, such as missing files; further ones are counted.
MAX_NAMED_LINES = 3


@dataclass(slots=True)
class _Group:
    """A fault that lines share: the place of its text, and what it is about."""

    position: int
    last_line: int
    num_lines: int = 1
    fix: str = ""


class LineFaults:
    """The faults of one list; a fault that many lines share is named once, with their number.

    Args:
        kind: What the list should be.
        file: The list.
        root: Folder that its paths start from.
    """

    def __init__(self, kind: ListKind, file: Path, root: Path) -> None:
        self.kind = kind
        self.file = file
        self.convert = convert_command(kind, file, root)
        self._texts: list[str] = []
        self._groups: dict[str, _Group] = {}
        self._num_of: Counter[str] = Counter()

    def add(self, line: int, text: str, group: str | None = None) -> None:
        """Add the fault of a line; only the first text of a group is kept."""
        if group is not None:
            if known := self._groups.get(group):
                known.num_lines += line != known.last_line
                known.last_line = line
                return
            self._groups[group] = _Group(len(self._texts), line)
        self._texts.append(f"{self.file}:{line}: {text}")

    def add_one_of(self, kind: str, line: int, text: str) -> None:
        """Add a fault of a kind of which the first ones are named, and further ones counted."""
        self._num_of[kind] += 1
        self.add(line, text, kind if self._num_of[kind] > MAX_NAMED_LINES else None)

    def add_whole(self, text: str) -> None:
        """Add a sentence about the whole list, which names its line itself."""
        self._texts.append(text)

    def explain(self, group: str, text: str) -> None:
        """Add what leads on to the fault of a group, if there is one."""
        if known := self._groups.get(group):
            known.fix = f"; {text}"

    @property
    def texts(self) -> list[str]:
        """One sentence for each fault or group, in the order of their first lines."""
        texts = list(self._texts)
        for group in self._groups.values():
            if group.num_lines > 1:
                texts[group.position] += f" ({group.num_lines:,} such lines)"
            texts[group.position] += group.fix
        return texts
