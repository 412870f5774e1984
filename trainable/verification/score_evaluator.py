"""The VEER of scores, and their bootstrap over the speakers of the validation list.

Shapes: P trial pairs, R replicates.
"""

from typing import Any

import numpy as np

from trainable.features.training_data import TrainingData
from trainable.lists.pair_index import PairIndex
from trainable.lists.speakers import ListSpeakers, speakers_in_list
from trainable.verification.bootstrap import SpeakerBootstrap, SpeakerPairs
from trainable.verification.intervals import NUM_REPLICATES
from trainable.verification.metrics import Floats, dprime, equal_error_rate
from trainable.verification.scores import MeasuredScores


class ScoreEvaluator:
    """Computes the VEER of scores, with a bootstrap if they are the best so far.

    Args:
        data: The corpus with the validation list. Its speakers are found on first use.
    """

    def __init__(self, data: TrainingData) -> None:
        self._data = data
        self._speakers: ListSpeakers | None = None
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
        """Return scores with VEER, replicates and interval; `epoch` is recorded with them.

        Where labels contradict the speakers, no replicate and no interval is defined.
        """
        veer_pct = equal_error_rate(scores, self._data.val_is_target)
        if self._speakers is None:
            self._speakers = validation_speakers(self._data)
            if self._speakers.agree:
                self._bootstrap = SpeakerBootstrap(validation_pairs(self._data, self._speakers))
        replicates, interval = np.full(NUM_REPLICATES, np.nan), None
        if self._bootstrap is not None:
            replicates = self._bootstrap.eer_pct(scores)
            interval = self._bootstrap.interval(veer_pct, replicates)
        return MeasuredScores(
            epoch=epoch,
            veer_pct=veer_pct,
            # Half the size on disk; the VEER was computed before this rounding.
            scores=scores.astype(np.float32),
            replicates=replicates.astype(np.float32),
            interval=interval,
        )


def validation_speakers(data: TrainingData) -> ListSpeakers:
    """Return the speakers of the validation utterances; see `trainable.lists.speakers`."""
    return speakers_in_list(validation_index(data), data.speaker_rule)


def validation_index(data: TrainingData) -> PairIndex:
    """Return the pairs of the validation list."""
    return PairIndex(
        paths=data.val_paths, a=data.val_a, b=data.val_b, is_target=data.val_is_target
    )


def validation_pairs(data: TrainingData, speakers: ListSpeakers | None = None) -> SpeakerPairs:
    """Return the validation list's pairs with the speakers of their utterances."""
    names = np.array((speakers or validation_speakers(data)).names)
    return SpeakerPairs.of(
        names[data.val_a].tolist(), names[data.val_b].tolist(), data.val_is_target
    )
