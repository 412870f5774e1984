"""Whose the utterances of a trial list are, which it does not say: it says same or different.

Shapes: P trial pairs, V utterances.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trainable.corpus.lists import speaker_of
from trainable.features.training_data import TrainingData
from trainable.verification.bootstrap import SpeakerPairs

Index = NDArray[np.int64]


def speakers_of(
    paths: Sequence[str], a: Index, b: Index, is_target: NDArray[np.bool_]
) -> tuple[str, ...]:
    """The speaker of each utterance, (V,).

    The first folder of its path, as VoxCeleb has it, where that agrees with every label: the same
    in target pairs, another in the others. Of a list of another layout the utterances that target
    pairs connect are one speaker, named after the first of them. Two of one speaker that no target
    pairs connect then count as two, so that intervals come out narrower than they should.

    Args:
        paths: (V,) as the list has them.
        a: (P,) place of each pair's first utterance.
        b: (P,) of its second one.
        is_target: (P,) whether they are of one speaker.
    """
    folders = np.array([speaker_of(path) for path in paths])
    if np.array_equal(folders[a] == folders[b], is_target):
        return tuple(folders.tolist())
    ones = np.ones(int(is_target.sum()), np.int8)
    edges = coo_array((ones, (a[is_target], b[is_target])), shape=(len(paths), len(paths)))
    _, group = connected_components(edges, directed=False)
    first: dict[int, str] = {}
    for number, path in sorted(zip(group.tolist(), paths, strict=True), key=lambda each: each[1]):
        first.setdefault(number, path)
    return tuple(first[number] for number in group.tolist())


def validation_pairs(data: TrainingData) -> SpeakerPairs:
    """The validation list's pairs by speaker."""
    names = np.array(speakers_of(data.val_paths, data.val_a, data.val_b, data.val_is_target))
    return SpeakerPairs.of(
        names[data.val_a].tolist(), names[data.val_b].tolist(), data.val_is_target
    )
