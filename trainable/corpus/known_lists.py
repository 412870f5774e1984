"""Trial lists identified by their content: equal lists, overlaps, and published test lists.

The content of a list is the set of its pairs. The first half of this module hashes and compares
the pairs of any lists; the second half recognises the test lists that results are published on.
The name of a file decides nothing, since a list may be renamed or copied.

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

from trainable.lists.pair_index import PairIndex
from trainable.lists.parsing import TrialPair
from trainable.lists.speaker_rule import SpeakerRule
from trainable.lists.speakers import possible_numbers, speakers_in_list

# Speakers that a warning names; the others are counted only.
_MAX_SPEAKERS_NAMED = 3


def paths_of(pairs: Iterable[TrialPair]) -> set[str]:
    """Return the files that a trial list names."""
    return {path for pair in pairs for path in (pair.path_a, pair.path_b)}


def speakers_in_pairs(pairs: Sequence[TrialPair], rule: SpeakerRule | None = None) -> set[str]:
    """Return the speakers of a trial list; none if only target pairs connect its utterances.

    Args:
        pairs: The pairs of the list.
        rule: How speakers follow from paths.

    Raises:
        CorpusError: The rule does not fit a path.
    """
    speakers = speakers_in_list(PairIndex.from_pairs(pairs), rule)
    return set() if speakers.rule is None else set(speakers.names)


def content_sha256(pairs: Iterable[TrialPair]) -> str:
    """Return the SHA-256, in hex, of the distinct pairs of a list.

    The order of the lines, the order of the two files in a pair, and `./` or `//` in paths do not
    matter. Nor does the root folder that the paths start from.
    """
    lines = "".join(sorted(_normalized_lines(pairs)))
    return hashlib.sha256(lines.encode()).hexdigest()


def same_pairs(pairs: Iterable[TrialPair], others: Iterable[TrialPair]) -> int:
    """Return how many pairs are in both lists."""
    return len(_normalized_lines(pairs) & _normalized_lines(others))


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one file, also through links; neither is opened."""
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist
        return one.absolute() == other.absolute()


def overlap_warnings(
    val_pairs: Sequence[TrialPair],
    test_pairs: Sequence[TrialPair],
    rule: SpeakerRule | None = None,
) -> list[str]:
    """Return a warning if a validation and a test list share speakers or pairs, else nothing.

    Raises:
        CorpusError: The rule does not fit a path.
    """
    if not test_pairs:
        return []
    of_test = speakers_in_pairs(test_pairs, rule)
    shared = sorted(speakers_in_pairs(val_pairs, rule) & of_test)
    what = []
    if shared:
        what.append(
            f"{len(shared)} of the test list's {len(of_test)} speakers ({_first_names(shared)})"
        )
    if num_pairs := same_pairs(val_pairs, test_pairs):
        what.append(f"{num_pairs} of its {len(test_pairs)} trial pairs")
    if not what:
        return []
    return [
        f"validation and test list share {' and '.join(what)}: error rates on it are too low for "
        "a model that was chosen by the other"
    ]


def _normalized_lines(pairs: Iterable[TrialPair]) -> set[str]:
    """Return one line for each distinct pair, equal for equal pairs."""
    pairs = tuple(pairs)
    # Each path once: a list of 580,000 pairs has about 145,000 paths.
    normal = {path: posixpath.normpath(path) for path in paths_of(pairs)}
    # Text rather than tuples, which take longer to hash and to sort.
    lines = set()
    for pair in pairs:
        path_a, path_b = normal[pair.path_a], normal[pair.path_b]
        if path_a > path_b:
            path_a, path_b = path_b, path_a
        lines.add(f"{1 if pair.is_target else 0} {path_a} {path_b}\n")
    return lines


def _first_names(speakers: Sequence[str]) -> str:
    more = ", ..." if len(speakers) > _MAX_SPEAKERS_NAMED else ""
    return ", ".join(speakers[:_MAX_SPEAKERS_NAMED]) + more


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownList:
    """A published test list.

    Attributes:
        name: Name of the list in papers.
        num_pairs: Number of trial pairs.
        num_targets: Number of target pairs.
        num_speakers: Number of speakers.
        has_test_speakers: Whether the speakers are the 40 test speakers of VoxCeleb1.
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

# The test speakers of VoxCeleb1: those whose names begin with E.
VOXCELEB1_TEST_SPEAKERS = frozenset(f"id{number}" for number in range(10270, 10310))
# Path of a VoxCeleb1 utterance: speaker (id10001 to id11251), video, number; below any folder,
# with any or no file extension.
_VOXCELEB1_UTTERANCE = re.compile(r"(?:^|/)(id1[01]\d{3})/[\w-]{11}/\d{5}(?:\.\w+)?$")


def known_list(paths: Collection[str], num_pairs: int, num_targets: int) -> KnownList | None:
    """Return the published test list that a trial list is, or None.

    The order of pairs, folders before the speaker's and the kind of audio file do not matter.

    Args:
        paths: The utterances of the list; each need occur only once.
        num_pairs: Number of trial pairs in the list.
        num_targets: Number of target pairs.
    """
    fitting = [
        each
        for each in KNOWN_LISTS
        if (each.num_pairs, each.num_targets) == (num_pairs, num_targets)
    ]
    if not fitting:
        return None
    own = voxceleb1_speakers(paths)
    # Without VoxCeleb1's names, in a renamed copy, only the counts decide.
    numbers = {len(own)} if own else possible_numbers(tuple(paths))
    for each in fitting:
        are_others = each.has_test_speakers and own and not own <= VOXCELEB1_TEST_SPEAKERS
        if each.num_speakers in numbers and not are_others:
            return each
    return None


def voxceleb1_speakers(paths: Collection[str]) -> frozenset[str]:
    """Return the VoxCeleb1 speakers of utterances; empty if any path is not one of VoxCeleb1."""
    speakers = set()
    for path in paths:
        found = _VOXCELEB1_UTTERANCE.search(path)
        if found is None:
            return frozenset()
        speakers.add(found[1])
    return frozenset(speakers)


def known_list_warning(paths: Collection[str], num_pairs: int, num_targets: int) -> str | None:
    """Return a warning if a validation list is a published test list or part of one, else None.

    Args:
        paths: The utterances of the list.
        num_pairs: Number of trial pairs in the list.
        num_targets: Number of target pairs.
    """
    known = known_list(paths, num_pairs, num_targets)
    if known is not None:
        return (
            f"the validation list is {known.name} ({num_pairs:,} pairs of {known.num_speakers:,} "
            "speakers), a test list: a student that is chosen by it has no test result on it any "
            "more; validate on pairs of other speakers (`veer data prepare` draws them)"
        )
    speakers = voxceleb1_speakers(paths)
    if speakers and speakers <= VOXCELEB1_TEST_SPEAKERS:
        return (
            f"all {len(speakers)} speakers of the validation list "
            f"({_first_names(sorted(speakers))}) are among the 40 test speakers of VoxCeleb1: a "
            "student that is chosen by it has no fair result on VoxCeleb1-O, E or H; validate on "
            "other speakers"
        )
    return None
