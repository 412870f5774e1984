"""The speakers of utterances, where a list names only paths: found by what parts the list.

A trial list has no speakers, only the labels same and different. The rule of `corpus.yaml` gives
them; without one, the first folder of the path that agrees with every label does. A rule that
agrees with nearly all labels shows that the others are wrong; one that contradicts nearly all,
that 0 and 1 are swapped. If none fits, utterances that target pairs connect are one speaker. If
that contradicts labels too, some are wrong, and a rule that agrees with most shows which.

Shapes: V utterances, P trial pairs.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spaces.files.errors import CorpusError
from trainable.lists.pair_index import PairIndex
from trainable.lists.parsing import Utterance
from trainable.lists.parting import Agreement, agreement
from trainable.lists.speaker_map import read_speaker_map
from trainable.lists.speaker_rule import SpeakerRule

# Of the target and of the non-target pairs, each: if a folder agrees with so many, it is the
# speaker, and the other labels are wrong.
NEARLY_ALL = 0.9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListSpeakers:
    """The speakers of a trial list's utterances.

    Attributes:
        names: (V,) speaker of each utterance of the index.
        rule: Rule that gave them; None if only the labels did.
        is_contradicted: (P,) whether the speakers contradict the label.
        is_given: Whether the rule is the user's.
        nearest: If no rule agrees with all labels or nearly all, the one that agrees best, and
            how well.
        agree_if_swapped: Whether the labels alone gave the speakers, contradict each other in
            most non-target pairs, and in none if 0 and 1 change places.
    """

    names: tuple[str, ...]
    rule: SpeakerRule | None
    is_contradicted: NDArray[np.bool_]
    is_given: bool
    nearest: tuple[SpeakerRule, Agreement] | None = None
    agree_if_swapped: bool = False

    @property
    def num_speakers(self) -> int:
        """Number of speakers."""
        return len(set(self.names))

    @property
    def agree(self) -> bool:
        """Whether the speakers agree with every label, so that intervals can rest on them."""
        return not self.is_contradicted.any()

    @property
    def in_words(self) -> str:
        """How they were found, and how many there are."""
        number = f"{self.num_speakers:,} speaker{'s' * (self.num_speakers != 1)}"
        if self.rule is not None:
            return f"by {self.rule.in_words}: {number}"
        return f"by target pairs, which connect utterances of one speaker: at most {number}"


def speakers_in_list(index: PairIndex, rule: SpeakerRule | None = None) -> ListSpeakers:
    """Find the speakers of a trial list.

    Args:
        index: The pairs of the list.
        rule: The user's rule; None to find one.

    Raises:
        CorpusError: The rule does not fit a path; names it.
    """
    if rule is not None:
        return _found(index, names_by(rule, index.paths), rule, is_given=True)
    best: ListSpeakers | None = None
    for candidate, names in _candidates(index.paths):
        found = _found(index, names, candidate)
        if found.agree:
            return found
        if best is None and _nearly_one_sided(found.is_contradicted, index.is_target):
            best = found
    return best or _by_labels(index)


def _by_labels(index: PairIndex) -> ListSpeakers:
    """Find speakers where no rule agrees with nearly all labels: by most labels, or by targets."""
    connected = _connected_speakers(index)
    tried = [
        _found(index, names, rule)
        for rule, names in _candidates(index.paths)
        if 1 < len(set(names)) < len(names)
    ]
    if not tried:
        return connected
    target = index.is_target
    found = [
        (agreement(each.is_contradicted != target, target, len(tried)), each) for each in tried
    ]
    how, nearest = min(found, key=lambda each: (not each[0].is_most, each[0].p_value))
    assert nearest.rule is not None  # noqa: S101 - each was found by a rule
    chosen = nearest if how.shows_speakers(labels_agree=connected.agree) else connected
    return replace(chosen, nearest=(nearest.rule, how))


def _connected_speakers(index: PairIndex) -> ListSpeakers:
    """Return the speakers by target pairs, and whether 0 and 1 look swapped."""
    found = _found(index, _connected(index), None)
    others = found.is_contradicted[~index.is_target]
    if not others.size or others.mean() <= 0.5:
        return found
    swapped = replace(index, is_target=~index.is_target)
    return replace(found, agree_if_swapped=_found(swapped, _connected(swapped), None).agree)


def possible_numbers(paths: Sequence[str]) -> set[int]:
    """Return the numbers of speakers that the folders of paths allow, one for each folder."""
    return {len(set(names)) for _, names in _candidates(paths)}


def are_swapped(speakers: ListSpeakers) -> bool:
    """Return whether the speakers contradict most labels: 0 and 1 are swapped then."""
    return bool(speakers.is_contradicted.mean() > 0.5)


def names_by(rule: SpeakerRule, paths: Sequence[str]) -> tuple[str, ...]:
    """Return the speaker of each path by a rule.

    Raises:
        CorpusError: The rule does not fit a path; names it.
    """
    if rule.map is not None:
        speaker_of = read_speaker_map(rule.map, paths)
        found: list[str | None] = [speaker_of.get(path) for path in paths]
    else:
        found = [_name(rule, path) for path in paths]
    lacking = [path for path, name in zip(paths, found, strict=True) if name is None]
    if lacking:
        raise CorpusError(
            [
                f"speaker: {rule.in_words} gives no speaker for {len(lacking):,} of "
                f"{len(paths):,} paths, such as {lacking[0]!r}"
            ]
        )
    return tuple(name for name in found if name is not None)


def training_names(
    train: Sequence[Utterance], rule: SpeakerRule | None = None
) -> Mapping[str, int]:
    """Return all names of the training speakers, each with the first line that it comes from.

    These are the names in the list and those of the first folder that parts the list as its
    speakers do. Of both, class numbers (0, 1, 2, ...) name no speaker of another list, so they
    are left out where a folder does.
    """
    paths = [utterance.path for utterance in train]
    labels = [utterance.speaker for utterance in train]
    folders: Sequence[str] = ()
    if rule is not None and rule.map is not None:
        speaker_of = read_speaker_map(rule.map, paths)
        folders = [speaker_of.get(path, label) for path, label in zip(paths, labels, strict=True)]
    else:
        parting = (names for _, names in _candidates(paths) if _parts(names, labels))
        folders = next(parting, ())
    is_numbered = all(label.isdecimal() for label in set(labels))
    sources = [folders] if folders and is_numbered else [labels, folders]
    line_of: dict[str, int] = {}
    for names in sources:
        for name, utterance in zip(names, train, strict=False):
            line_of.setdefault(name, utterance.line)
    return line_of


def _parts(names: Sequence[str], labels: Sequence[str]) -> bool:
    """Return whether each name belongs to one label only, and there is more than one."""
    label_of: dict[str, str] = {}
    return len(set(names)) > 1 and all(
        label_of.setdefault(name, label) == label
        for name, label in zip(names, labels, strict=True)
    )


def _found(
    index: PairIndex,
    names: Sequence[str],
    rule: SpeakerRule | None,
    *,
    is_given: bool = False,
) -> ListSpeakers:
    number_of = {name: number for number, name in enumerate(dict.fromkeys(names))}
    number = np.array([number_of[name] for name in names], dtype=np.int64)
    is_same = number[index.a] == number[index.b]
    return ListSpeakers(
        names=tuple(names),
        rule=rule,
        is_contradicted=is_same != index.is_target,
        is_given=is_given,
    )


def _nearly_one_sided(is_contradicted: NDArray[np.bool_], is_target: NDArray[np.bool_]) -> bool:
    """Return whether nearly all labels of both kinds are right, or nearly all are wrong."""
    if is_target.all() or not is_target.any():
        return False
    wrong = [float(is_contradicted[kind].mean()) for kind in (is_target, ~is_target)]
    return max(wrong) <= 1 - NEARLY_ALL or min(wrong) >= NEARLY_ALL


def _candidates(paths: Sequence[str]) -> Iterator[tuple[SpeakerRule, list[str]]]:
    """Yield rules that give every path a speaker, the outermost folder first."""
    if not paths:
        return
    parts = [_parts_of(path) for path in paths]
    fewest, most = min(map(len, parts)) - 1, max(map(len, parts)) - 1
    for number in range(fewest):
        yield SpeakerRule(folder=number + 1), [each[number] for each in parts]
    # From the file only where that differs: paths of one depth are counted from the root.
    for number in range(-fewest if fewest != most else 0, 0):
        yield SpeakerRule(folder=number), [each[number - 1] for each in parts]
    for mark in "-_":
        if all(mark in each[-1] for each in parts):
            names = [each[-1].partition(mark)[0] for each in parts]
            yield SpeakerRule(name_until=mark), names


def _name(rule: SpeakerRule, path: str) -> str | None:
    *folders, file = _parts_of(path)
    if rule.name_until is not None:
        before, found, _ = file.partition(rule.name_until)
        return before if found else None
    number = rule.folder or 0
    place = number - 1 if number > 0 else number
    return folders[place] if -len(folders) <= place < len(folders) else None


def _parts_of(path: str) -> list[str]:
    # Not `PurePosixPath`, which takes 20 s for a million paths.
    parts = path.split("/")
    if "" in parts or "." in parts:
        parts = [part for part in parts if part not in ("", ".")]
    # One name that two systems write with other code points is one speaker.
    return parts if path.isascii() else [unicodedata.normalize("NFC", part) for part in parts]


def _connected(index: PairIndex) -> tuple[str, ...]:
    """Return for each utterance the first path that target pairs connect it with."""
    # Slow to import, in every process of a trial, and few lists need them.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    is_target, size = index.is_target, len(index.paths)
    ones = np.ones(int(is_target.sum()), np.int8)
    edges = coo_array((ones, (index.a[is_target], index.b[is_target])), shape=(size, size))
    _, group = connected_components(edges, directed=False)
    first: dict[int, str] = {}
    # By path, so that the names do not depend on the order of the list.
    for number, path in sorted(
        zip(group.tolist(), index.paths, strict=True), key=lambda each: str(each[1])
    ):
        first.setdefault(number, path)
    return tuple(first[number] for number in group.tolist())
