"""The VEER of scores, and their bootstrap over the speakers of the validation list.

Shapes: P trial pairs, V utterances, R replicates.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trainable.corpus.lists import speaker_of
from trainable.features.crop_bank import Index
from trainable.features.training_data import TrainingData
from trainable.verification.bootstrap import SpeakerBootstrap, SpeakerPairs
from trainable.verification.metrics import Floats, dprime, equal_error_rate
from trainable.verification.scores import MeasuredScores


class ScoreEvaluator:
    """Computes the VEER of scores, with a bootstrap if they are the best so far.

    Args:
        data: The corpus with the validation list. Its speakers are found on first use.
    """

    def __init__(self, data: TrainingData) -> None:
        self._data = data
        self._bootstrap: SpeakerBootstrap | None = None

    def epoch_fields(
        self, scores: Floats, best_pct: float, number: int
    ) -> tuple[dict[str, Any], MeasuredScores | None]:
        """Return an epoch's VEER fields and d', and its scores if it is the best so far.

        Args:
            scores: (P,) scores of the model after the epoch.
            best_pct: The lowest VEER of the earlier epochs, percent; infinite before the first.
            number: The epoch, from 1.
        """
        veer_pct = equal_error_rate(scores, self._data.val_is_target)
        # Ties go to the earlier epoch, as in `CheckpointFolder`: scores must have a checkpoint.
        measured = None if best_pct <= veer_pct else self.measure(scores, number)
        interval = None if measured is None else measured.interval
        return {
            "veer_pct": veer_pct,
            "veer_low_pct": None if interval is None else interval.low_pct,
            "veer_high_pct": None if interval is None else interval.high_pct,
            "dprime": dprime(scores, self._data.val_is_target),
        }, measured

    def measure(self, scores: Floats, epoch: int = 0) -> MeasuredScores:
        """Return scores with VEER, replicates and interval; `epoch` is recorded with them."""
        if self._bootstrap is None:
            self._bootstrap = SpeakerBootstrap(validation_pairs(self._data))
        veer_pct = equal_error_rate(scores, self._data.val_is_target)
        replicates = self._bootstrap.eer_pct(scores)
        return MeasuredScores(
            epoch=epoch,
            veer_pct=veer_pct,
            # Half the size on disk; the VEER was computed before this rounding.
            scores=scores.astype(np.float32),
            replicates=replicates.astype(np.float32),
            interval=self._bootstrap.interval(veer_pct, replicates),
        )


def speakers_of(
    paths: Sequence[str], a: Index, b: Index, is_target: NDArray[np.bool_]
) -> tuple[str, ...]:
    """Return the speaker of each utterance, (V,).

    This is the first folder of the path, as in VoxCeleb, if that agrees with every label. For
    another layout, utterances that target pairs connect are one speaker, named after the first
    path. Utterances of one speaker that no target pairs connect then count as two speakers, which
    makes intervals too narrow.

    Args:
        paths: (V,) paths as in the list.
        a: (P,) position in `paths` of each pair's first utterance.
        b: (P,) position of its second utterance.
        is_target: (P,) whether both are of one speaker.
    """
    folders = np.array([speaker_of(path) for path in paths])
    if np.array_equal(folders[a] == folders[b], is_target):
        return tuple(folders.tolist())
    ones = np.ones(int(is_target.sum()), np.int8)
    edges = coo_array((ones, (a[is_target], b[is_target])), shape=(len(paths), len(paths)))
    _, group = connected_components(edges, directed=False)
    first: dict[int, str] = {}
    # By path, so that the names do not depend on the order of the list.
    for number, path in sorted(zip(group.tolist(), paths, strict=True), key=lambda each: each[1]):
        first.setdefault(number, path)
    return tuple(first[number] for number in group.tolist())


def validation_pairs(data: TrainingData) -> SpeakerPairs:
    """Return the validation list's pairs with the speakers of their utterances."""
    names = np.array(speakers_of(data.val_paths, data.val_a, data.val_b, data.val_is_target))
    return SpeakerPairs.of(
        names[data.val_a].tolist(), names[data.val_b].tolist(), data.val_is_target
    )
