"""A trial list with all that its lines and paths say: pairs, files and speakers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spaces.files.errors import CorpusError
from trainable.list_formats.listed_files import ListedFiles
from trainable.list_formats.sources import VEER_LISTS, ListSource
from trainable.lists.pair_checks import (
    IndexedList,
    LabelRule,
    label_faults,
    numbered,
    pair_faults,
    pair_warnings,
    speaker_warnings,
)
from trainable.lists.pair_index import PairIndex
from trainable.lists.parsing import ReadAs, TrialPair, parse_trial_list
from trainable.lists.speaker_rule import SpeakerRule
from trainable.lists.speakers import ListSpeakers, speakers_in_list


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRules:
    """How a corpus reads its trial lists.

    Attributes:
        speaker: How speakers follow from paths; None to find it by the labels.
        labels: What the labels stand for; None for 1 as target, if nothing contradicts that.
        source: The format of the lists.
    """

    speaker: SpeakerRule | None = None
    labels: LabelRule | None = None
    source: ListSource = VEER_LISTS

    @property
    def read_as(self) -> ReadAs:
        """How the lines are read."""
        return ReadAs(zero_is_target=self.zero_is_target, source=self.source)

    @property
    def zero_is_target(self) -> bool:
        """Whether the label 0 stands for the same speaker."""
        return self.labels == "0 is target"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListedPairs:
    """The valid pairs of a trial list.

    Attributes:
        file: The list.
        root: Folder that the paths start from.
        pairs: Its pairs, in their order.
        files: The files of its paths.
        listed: The pairs with their places.
        rules: How the list is read.
        speakers: Its speakers; None for an empty list, or where the rule fits not all paths.
    """

    file: Path
    root: Path
    pairs: tuple[TrialPair, ...]
    files: ListedFiles
    listed: IndexedList
    rules: ListRules
    speakers: ListSpeakers | None

    @property
    def line_of(self) -> dict[str, int]:
        """The first line of each path."""
        return first_lines(self.pairs)

    def faults(self) -> list[str]:
        """Return what is wrong with labels and pairs; what a line lacks by itself is reported."""
        faults = class_faults(self.pairs, self.file, zero_is_target=self.rules.zero_is_target)
        if not self.pairs:
            return faults
        faults += pair_faults(self.listed)
        # Only one contradiction of the pairs at a time: wrong pairs have wrong labels.
        if not faults and self.speakers is not None and self.rules.labels != "1 is target":
            faults += label_faults(self.listed, self.speakers, self.rules.labels)
        return faults

    def warnings(self) -> list[str]:
        """Return warnings of pairs that distort error rates, and of speakers in doubt."""
        warnings = pair_warnings(self.listed) if self.pairs else []
        return warnings + (speaker_warnings(self.file, self.speakers) if self.speakers else [])


def read_pairs(
    file: Path,
    root: Path,
    faults: list[str],
    *,
    rules: ListRules | None = None,
    check_files: bool = True,
) -> ListedPairs:
    """Read a trial list and find its speakers; add faults of lines and paths to `faults`.

    Args:
        file: The list.
        root: Folder that the paths start from.
        faults: Receives one sentence for each fault.
        rules: How the list is read.
        check_files: Whether to look up the files, and to find the speakers.
    """
    rules, files = rules or ListRules(), ListedFiles(root, check_files=check_files)
    pairs = parse_trial_list(
        file, root, faults, files=files, check_files=check_files, read_as=rules.read_as
    )
    index = PairIndex.from_pairs(pairs if check_files else ())
    lines = np.array([pair.line for pair in pairs if check_files], dtype=np.int64)
    speakers = None
    if len(index.paths):
        try:
            speakers = speakers_in_list(index, rules.speaker)
        except CorpusError as error:
            faults += [f"{file}: {fault}" for fault in error.faults]
    return ListedPairs(
        file=file,
        root=root,
        pairs=pairs,
        files=files,
        listed=IndexedList(file=file, index=index, lines=lines, same_file=numbered(index, files)),
        rules=rules,
        speakers=speakers,
    )


def class_faults(
    pairs: Sequence[TrialPair], trial_list: Path, *, zero_is_target: bool = False
) -> list[str]:
    """Return a fault if all pairs of a trial list have one label, since then there is no EER."""
    labels = {pair.is_target for pair in pairs}
    # No label at all: the list is empty, or has faults that the parser reports.
    if len(labels) != 1:
        return []
    label = int(labels.pop() != zero_is_target)
    return [
        f"{trial_list}:1: must have target pairs (1) and non-target pairs (0), "
        f"got {label} in all {len(pairs)} lines"
    ]


def first_lines(pairs: Iterable[TrialPair]) -> dict[str, int]:
    """Return the first line of each path of a trial list."""
    lines: dict[str, int] = {}
    for pair in pairs:
        lines.setdefault(pair.path_a, pair.line)
        lines.setdefault(pair.path_b, pair.line)
    return lines
