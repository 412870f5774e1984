"""Test lists that results are published on, recognised by what is in them, never by their names.

Numbers of pairs and speakers are those of VoxCeleb's page
(https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html; Chung et al., "VoxCeleb2: Deep Speaker
Recognition", 2018), target pairs those that PaddleSpeech lists in examples/voxceleb/README.md.
"""

import hashlib
import posixpath
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.corpus.lists import TrialPair, speaker_of

# VoxCeleb1's own test speakers: those whose names begin with E.
VOXCELEB1_TEST_SPEAKERS = frozenset(f"id{number}" for number in range(10270, 10310))
# An utterance of VoxCeleb1: speaker (id10001 to id11251), video, number; in any folder, as any
# kind of file.
_VOXCELEB1_UTTERANCE = re.compile(r"(?:^|/)(id1[01]\d{3})/[\w-]{11}/\d{5}(?:\.\w+)?$")
_MAX_SPEAKERS_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownList:
    """A published test list.

    Attributes:
        name: As papers call it.
        num_pairs: Trial pairs.
        num_targets: Those of one speaker.
        num_speakers: Speakers.
        has_test_speakers: Whether they are VoxCeleb1's 40 test speakers.
    """

    name: str
    num_pairs: int
    num_targets: int
    num_speakers: int
    has_test_speakers: bool = False


KNOWN_LISTS: tuple[KnownList, ...] = (
    KnownList(
        name="VoxCeleb1-O",
        num_pairs=37_720,
        num_targets=18_860,
        num_speakers=40,
        has_test_speakers=True,
    ),
    KnownList(
        name="VoxCeleb1-O (cleaned)",
        num_pairs=37_611,
        num_targets=18_802,
        num_speakers=40,
        has_test_speakers=True,
    ),
    KnownList(name="VoxCeleb1-E", num_pairs=581_480, num_targets=290_743, num_speakers=1251),
    KnownList(
        name="VoxCeleb1-E (cleaned)", num_pairs=579_818, num_targets=289_921, num_speakers=1251
    ),
    KnownList(name="VoxCeleb1-H", num_pairs=552_536, num_targets=276_270, num_speakers=1190),
    KnownList(
        name="VoxCeleb1-H (cleaned)", num_pairs=550_894, num_targets=275_488, num_speakers=1190
    ),
)


def known_list(paths: Collection[str], num_pairs: int, num_targets: int) -> KnownList | None:
    """The published test list that a trial list is, None where it is none.

    Order, names of folders before the speaker's and the kind of audio file do not matter.

    Args:
        paths: The utterances, each once is enough.
        num_pairs: Trial pairs of the list.
        num_targets: Those of one speaker.
    """
    fitting = [
        each
        for each in KNOWN_LISTS
        if (each.num_pairs, each.num_targets) == (num_pairs, num_targets)
    ]
    if not fitting:
        return None
    own = voxceleb1_speakers(paths)
    num_speakers = len(own or {speaker_of(path) for path in paths})
    for each in fitting:
        are_others = each.has_test_speakers and own and not own <= VOXCELEB1_TEST_SPEAKERS
        if num_speakers == each.num_speakers and not are_others:
            return each
    return None


def voxceleb1_speakers(paths: Collection[str]) -> frozenset[str]:
    """The VoxCeleb1 speakers of utterances; empty where one path is not laid out as there."""
    speakers = set()
    for path in paths:
        found = _VOXCELEB1_UTTERANCE.search(path)
        if found is None:
            return frozenset()
        speakers.add(found[1])
    return frozenset(speakers)


def known_list_warning(paths: Collection[str], num_pairs: int, num_targets: int) -> str | None:
    """What is to be said of a validation list that is a published test list, or part of one.

    Args:
        paths: Its utterances.
        num_pairs: Its trial pairs.
        num_targets: Those of one speaker.
    """
    known = known_list(paths, num_pairs, num_targets)
    if known is not None:
        return (
            f"the validation list is {known.name} ({num_pairs:,} pairs of {known.num_speakers:,} "
            "speakers), a test list: a student that is chosen by it has no test figure on it any "
            "more; validate on pairs of other speakers (`veer data prepare` draws them)"
        )
    speakers = voxceleb1_speakers(paths)
    if speakers and speakers <= VOXCELEB1_TEST_SPEAKERS:
        named = ", ".join(sorted(speakers)[:_MAX_SPEAKERS_NAMED])
        more = ", ..." if len(speakers) > _MAX_SPEAKERS_NAMED else ""
        return (
            f"all {len(speakers)} speakers of the validation list ({named}{more}) are among the "
            "40 test speakers of VoxCeleb1: a student that is chosen by it has no honest figure "
            "on VoxCeleb1-O, E or H; validate on other speakers"
        )
    return None


def content_sha256(pairs: Iterable[TrialPair]) -> str:
    """SHA-256 of a list's distinct pairs, their sides and themselves in alphabetical order.

    Paths count as they are written, but for `./` and `//` in them; where they start does not.
    """
    lines = "".join(sorted(_normal(pairs)))
    return hashlib.sha256(lines.encode()).hexdigest()


def same_pairs(pairs: Iterable[TrialPair], others: Iterable[TrialPair]) -> int:
    """How many pairs are in both lists."""
    return len(_normal(pairs) & _normal(others))


def speakers_in_pairs(pairs: Iterable[TrialPair]) -> set[str]:
    """The speakers of a trial list: the first folders of its paths."""
    return {speaker_of(path) for path in paths_of(pairs)}


def paths_of(pairs: Iterable[TrialPair]) -> set[str]:
    """The files that a trial list names."""
    return {path for pair in pairs for path in (pair.path_a, pair.path_b)}


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, through links too; neither is opened."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return one.absolute() == other.absolute()


def overlap_warnings(val_pairs: Sequence[TrialPair], test_pairs: Sequence[TrialPair]) -> list[str]:
    """What is to be said of a validation and a test list that are not apart."""
    shared = sorted(speakers_in_pairs(val_pairs) & speakers_in_pairs(test_pairs))
    if not shared:
        return []
    named = ", ".join(shared[:3]) + (", ..." if len(shared) > 3 else "")
    warning = (
        f"validation and test list share {len(shared)} of the test list's "
        f"{len(speakers_in_pairs(test_pairs))} speakers ({named})"
    )
    if num_pairs := same_pairs(val_pairs, test_pairs):
        warning += f" and {num_pairs} of its {len(test_pairs)} trial pairs"
    return [f"{warning}: figures on it are too low for a model that was chosen by the other"]


def _normal(pairs: Iterable[TrialPair]) -> set[str]:
    """A line a pair; as text, which is hashed and sorted faster than tuples."""
    pairs = tuple(pairs)
    normal = {path: posixpath.normpath(path) for path in paths_of(pairs)}
    lines = set()
    for pair in pairs:
        path_a, path_b = normal[pair.path_a], normal[pair.path_b]
        if path_a > path_b:
            path_a, path_b = path_b, path_a
        lines.add(f"{1 if pair.is_target else 0} {path_a} {path_b}\n")
    return lines
