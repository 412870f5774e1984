"""What is wrong with the pairs of a trial list: labels that contradict, pairs that repeat.

Shapes: V utterances, P trial pairs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from trainable.list_formats.listed_files import ListedFiles
from trainable.lists.pair_index import PairIndex
from trainable.lists.speakers import ListSpeakers, are_swapped

# How labels are read; without the setting as the first.
LabelRule = Literal["1 is target", "0 is target"]
# Lines that a message names; the others are counted only.
MAX_NAMED = 3
# EER for which the effect of files with themselves is given, percent.
_EXAMPLE_EER_PCT = 20.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IndexedList:
    """A trial list with the places of its pairs.

    Attributes:
        file: The list.
        index: Its pairs.
        lines: (P,) line of each pair.
        same_file: (V,) a number that all paths to one recording share.
    """

    file: Path
    index: PairIndex
    lines: NDArray[np.int64]
    same_file: NDArray[np.int64]

    @property
    def key(self) -> NDArray[np.int64]:
        """(P,) a number that equal pairs share, whatever the order of their sides."""
        a, b = self.same_file[self.index.a], self.same_file[self.index.b]
        return np.minimum(a, b) * len(self.same_file) + np.maximum(a, b)

    @property
    def is_with_itself(self) -> NDArray[np.bool_]:
        """(P,) whether both sides are one recording."""
        return np.asarray(self.same_file[self.index.a] == self.same_file[self.index.b])


def numbered(index: PairIndex, files: ListedFiles | None = None) -> NDArray[np.int64]:
    """Number the utterances of a list so that all paths to one file share a number, (V,)."""
    number_of: dict[object, int] = {}
    return np.array(
        [
            number_of.setdefault((files and files.identity(path)) or path, len(number_of))
            for path in index.paths
        ],
        dtype=np.int64,
    )


def pair_faults(listed: IndexedList) -> list[str]:
    """Return the faults of pairs with both labels, and of files that are not their own speaker."""
    faults, is_target = [], listed.index.is_target
    _, group = np.unique(listed.key, return_inverse=True)
    num_targets = np.bincount(group, is_target)
    num_others = np.bincount(group, ~is_target)
    both = np.flatnonzero((num_targets > 0) & (num_others > 0))
    if both.size:
        # The first target and the first non-target line of each such pair.
        lines = [
            tuple(_first(listed, (group == each) & kind) for kind in (is_target, ~is_target))
            for each in both[:MAX_NAMED]
        ]
        target, other = lines[0]
        more = ", ..." if both.size > MAX_NAMED else ""
        named = ", ".join(f"{one} and {two}" for one, two in lines)
        faults.append(
            f"{listed.file}:{max(target, other)}: a pair has one label, but line {target} has it "
            f"as of one speaker and line {other} as of two; pairs with both labels: {both.size:,} "
            f"(lines {named}{more}): keep the right line of each"
        )
    wrong = listed.is_with_itself & ~is_target
    # Those that stand as target pairs too are among the pairs with both labels.
    if wrong[num_targets[group] == 0].any():
        faults.append(
            f"{listed.file}:{_first(listed, wrong)}: a file with itself is one speaker, but "
            f"labelled as two, in {int(wrong.sum()):,} pairs: leave them out"
        )
    return faults


def pair_warnings(listed: IndexedList) -> list[str]:
    """Return warnings of files with themselves and of repeated pairs, with their effect."""
    is_target, warnings = listed.index.is_target, []
    own = listed.is_with_itself & is_target
    if own.any():
        num_own, num_targets = int(own.sum()), int(is_target.sum())
        shown = _shown_eer_pct(_EXAMPLE_EER_PCT, num_own / num_targets)
        warnings.append(
            f"{listed.file}:{_first(listed, own)}: {num_own:,} of {num_targets:,} target pairs "
            "are a file with itself, which no model misses: error rates come out too low (an "
            f"EER of {_EXAMPLE_EER_PCT:.0f} % as about {shown:.1f} %); leave them out"
        )
    labelled = 2 * listed.key + is_target
    _, first = np.unique(labelled, return_index=True)
    if num_repeats := labelled.size - first.size:
        repeats = np.ones(labelled.size, np.bool_)
        repeats[first] = False
        place = int(np.flatnonzero(repeats)[0])
        earlier = int(np.flatnonzero(labelled == labelled[place])[0])
        warnings.append(
            f"{listed.file}:{listed.lines[place]}: {num_repeats:,} of {labelled.size:,} lines "
            f"repeat an earlier pair (this one that of line {listed.lines[earlier]}), so that "
            "these pairs weigh more than others in error rates; leave the repeats out"
        )
    return warnings


def label_faults(
    listed: IndexedList, speakers: ListSpeakers, labels: LabelRule | None
) -> list[str]:
    """Return a fault if labels contradict the speakers of the paths, with the count and the fix.

    Args:
        listed: The list.
        speakers: Its speakers.
        labels: The setting of `corpus.yaml`.
    """
    wrong = speakers.is_contradicted
    if speakers.rule is None and speakers.agree_if_swapped:
        num_others = int((~listed.index.is_target).sum())
        fix = (
            "labels: 0 is target is wrong for this list: remove it"
            if labels == "0 is target"
            else "set labels: 0 is target in corpus.yaml (or swap 0 and 1 in the list)"
        )
        return [
            f"{listed.file}:{_first(listed, wrong)}: target pairs connect the utterances of "
            f"{int(wrong.sum()):,} of {num_others:,} non-target pairs, and with 0 and 1 swapped "
            f"no label contradicts another: {fix}; if the labels are right, set labels: 1 is "
            "target"
        ]
    # Otherwise speakers that come from the labels cannot show that these are wrong.
    if speakers.rule is None or speakers.agree:
        return []
    found = (
        f"{listed.file}:{_first(listed, wrong)}: {_share(int(wrong.sum()), wrong.size)} "
        f"contradict the speakers {speakers.in_words}"
    )
    if speakers.nearest is not None:
        found += f" (p = {speakers.nearest[1].p_value:.1g} if they had nothing to do with them)"
    if not are_swapped(speakers):
        named = ", ".join(str(line) for line in listed.lines[wrong][:MAX_NAMED])
        more = ", ..." if int(wrong.sum()) > MAX_NAMED else ""
        return [
            f"{found} (lines {named}{more}); correct them; or give the speakers (speaker: in "
            "corpus.yaml); or, if the labels are right, set labels: 1 is target"
        ]
    if labels == "0 is target":
        return [f"{found}; labels: 0 is target is wrong for this list: remove it"]
    return [
        f"{found}; if 0 stands for the same speaker, set labels: 0 is target in corpus.yaml (or "
        "swap 0 and 1 in the list); if the labels are right, set labels: 1 is target"
    ]


def speaker_warnings(file: Path, speakers: ListSpeakers) -> list[str]:
    """Return a warning if the speakers of a list are in doubt, with what follows from that.

    Args:
        file: The list.
        speakers: Its speakers.
    """
    num_wrong = int(speakers.is_contradicted.sum())
    give = "give the speakers (speaker: in corpus.yaml)"
    near = ""
    if speakers.nearest is not None and speakers.rule is None:
        rule, how = speakers.nearest
        near = f"of {rule.in_words}, which agrees best, {how.in_words}; "
    if num_wrong and speakers.rule is None:
        return [
            f"{file}: labels contradict each other: target pairs connect the utterances of "
            f"{num_wrong:,} non-target pairs; {near}error rates have no intervals; correct the "
            f"labels, or {give}"
        ]
    if num_wrong:
        return [
            f"{file}: {num_wrong:,} of {speakers.is_contradicted.size:,} labels contradict the "
            f"speakers {speakers.in_words}: error rates have no intervals; {give}"
        ]
    if speakers.rule is None:
        return [
            f"{file}: no folder of the paths is the speaker; {near}they are found "
            f"{speakers.in_words}, so intervals may be too narrow, and speakers that are in "
            f"training too are not seen; {give}"
        ]
    return []


def _share(count: int, total: int) -> str:
    return f"all {total:,} labels" if count == total else f"{count:,} of {total:,} labels"


def _first(listed: IndexedList, chosen: NDArray[np.bool_]) -> int:
    return int(listed.lines[chosen].min())


def _shown_eer_pct(eer_pct: float, share: float) -> float:
    """Return the EER that is shown if a share of the target pairs cannot be missed, percent.

    For scores that are normally distributed with one variance.
    """
    # Slow to import, in every process of a trial, and few lists need it.
    from scipy.optimize import brentq

    distance = -2 * float(ndtri(eer_pct / 100))

    def difference(threshold: float) -> float:
        return float(ndtr(-threshold) - max(1 - share, 1e-9) * ndtr(threshold - distance))

    # Below -9 and above the distance plus 9, one of the rates is 0.
    return 100 * float(ndtr(-brentq(difference, -9, distance + 9)))
