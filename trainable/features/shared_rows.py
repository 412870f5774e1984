"""Recordings that are in training and in the validation list, found by their stored log-mels.

Equal samples have equal log-mels, so copies under other names are found without reading audio.

Shapes: U training utterances, V validation utterances, T frames, F mel bins.
"""

import numpy as np
from numpy.typing import NDArray

from trainable.features.feature_table import FeatureTable

Rows = NDArray[np.int64]

# Frames that are gathered at once.
_CHUNK = 2**16


def shared_rows(features: FeatureTable, train_row: Rows, val_row: Rows) -> list[tuple[int, int]]:
    """Return the positions of each validation utterance that is also a training utterance.

    Only utterances of a length that both sides have are compared: by their middle frame, and by
    all frames where that agrees.

    Args:
        features: Log-mels.
        train_row: (U,) rows of the training utterances.
        val_row: (V,) rows of the validation utterances.

    Returns:
        (position in `val_row`, position in `train_row`), at most one for each of the former.
    """
    train_length, val_length = features.length[train_row], features.length[val_row]
    both = np.intersect1d(train_length, val_length)
    if not both.size:
        return []
    of_val = _middle_frames(features, val_row)
    places_of: dict[bytes, list[int]] = {}
    for place, frame in enumerate(of_val):
        places_of.setdefault(frame.tobytes(), []).append(place)
    found: dict[int, int] = {}
    candidates = np.flatnonzero(np.isin(train_length, both))
    for first in range(0, candidates.size, _CHUNK):
        part = candidates[first : first + _CHUNK]
        for position, frame in zip(part, _middle_frames(features, train_row[part]), strict=True):
            for place in places_of.get(frame.tobytes(), ()):
                if place not in found and _are_equal(
                    features, int(train_row[position]), int(val_row[place])
                ):
                    found[place] = int(position)
    return sorted(found.items())


def _middle_frames(features: FeatureTable, row: Rows) -> NDArray[np.float16]:
    """Return the middle frame of each row, (N, F)."""
    middle = features.length[row] // 2
    return np.asarray(features.gather(row, middle[:, None])[:, 0])


def _are_equal(features: FeatureTable, one: int, other: int) -> bool:
    rows = np.array([one, other])
    if features.length[one] != features.length[other]:
        return False
    frame_BT = np.tile(np.arange(features.length[one]), (2, 1))
    feat_BTF = features.gather(rows, frame_BT)
    return bool(np.array_equal(feat_BTF[0], feat_BTF[1]))
