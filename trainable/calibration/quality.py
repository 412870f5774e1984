"""Quality measures of a pair: how long its utterances are, how long their embeddings.

A score of two short utterances says less than the same score of two long ones. Thienpondt,
Desplanques and Demuynck, "The IDLab VoxSRC-20 submission" (2021): measures of both sides enter
the calibration beside the score, here the smaller and the larger of each pair, so that the ratio
does not depend on the order of the two.

Shapes: U utterances, P trial pairs, D embedding, Q columns.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from spaces.files.errors import ConfigError
from trainable.features.crop_bank import Index
from trainable.verification.embedded import EmbeddedUtterances
from trainable.verification.metrics import Floats

Quality = Literal["duration", "magnitude"]
QUALITIES: tuple[Quality, ...] = ("duration", "magnitude")


def with_quality(
    scores: Floats,
    utterances: EmbeddedUtterances,
    sides: tuple[Index, Index],
    measures: Sequence[Quality],
) -> Floats:
    """Return the scores and the measures of pairs, (P, Q): two columns for each measure.

    Args:
        scores: (P,) scores.
        utterances: The utterances of the pairs.
        sides: (P,) position of the first and of the second utterance of each pair.
        measures: The measures.
    """
    columns = [scores]
    for measure in measures:
        # Logarithms: from 1 s to 2 s changes as much as from 4 s to 8 s.
        value_U = np.log(np.maximum(_values(utterances, measure), np.finfo(np.float64).tiny))
        both = value_U[sides[0]], value_U[sides[1]]
        columns += [np.minimum(*both), np.maximum(*both)]
    return np.stack(columns, axis=1)


def require_durations(utterances: EmbeddedUtterances) -> None:
    """Refuse utterances of unknown duration.

    Raises:
        ConfigError: A file of embeddings has no column `duration_s`.
    """
    if np.isnan(utterances.duration_s_U).any():
        raise ConfigError(
            "durations are needed, and the file of embeddings has none: give it a column "
            "duration_s (veer embed writes one)"
        )


def _values(utterances: EmbeddedUtterances, measure: Quality) -> Floats:
    if measure == "duration":
        require_durations(utterances)
        return utterances.duration_s_U
    return np.asarray(np.linalg.norm(utterances.mean_UD, axis=1))
