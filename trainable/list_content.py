"""What a trial list holds, whatever its file's name, the order of its lines and of their sides."""

import hashlib
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

from trainable.corpus.lists import TrialPair, speaker_of


def content_sha256(pairs: Iterable[TrialPair]) -> str:
    """SHA-256 of a list's distinct pairs, their sides and themselves in alphabetical order.

    Paths count as they are written, but for `./` and `//` in them; where they start does not.
    """
    lines = "".join(sorted(_normal(pairs)))
    return hashlib.sha256(lines.encode()).hexdigest()


def same_pairs(pairs: Iterable[TrialPair], others: Iterable[TrialPair]) -> int:
    """How many pairs are in both lists."""
    return len(_normal(pairs) & _normal(others))


def speakers_of(pairs: Iterable[TrialPair]) -> set[str]:
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


def overlap_warnings(
    val_pairs: Sequence[TrialPair], test_pairs: Sequence[TrialPair]
) -> list[str]:
    """What is to be said of a validation and a test list that are not apart."""
    shared = sorted(speakers_of(val_pairs) & speakers_of(test_pairs))
    if not shared:
        return []
    named = ", ".join(shared[:3]) + (", ..." if len(shared) > 3 else "")
    warning = (
        f"validation and test list share {len(shared)} of the test list's "
        f"{len(speakers_of(test_pairs))} speakers ({named})"
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
