"""Trial pairs as positions in a list of their files.

Shapes: P trial pairs.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainable.lists.parsing import TrialPair


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairIndex:
    """Trial pairs as positions in a list of utterances without repetition.

    Attributes:
        paths: The utterances, sorted.
        a: (P,) position of each pair's first utterance in `paths`.
        b: (P,) position of its second utterance.
        is_target: (P,) whether both are of one speaker.
    """

    paths: tuple[str, ...]
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    is_target: NDArray[np.bool_]

    @classmethod
    def from_pairs(cls, pairs: Iterable[TrialPair]) -> "PairIndex":
        """Number the utterances of the pairs; the pairs keep their order."""
        listed = tuple(pairs)
        paths = sorted({path for pair in listed for path in (pair.path_a, pair.path_b)})
        position = {path: number for number, path in enumerate(paths)}
        return cls(
            paths=tuple(paths),
            a=np.array([position[pair.path_a] for pair in listed], dtype=np.int64),
            b=np.array([position[pair.path_b] for pair in listed], dtype=np.int64),
            is_target=np.array([pair.is_target for pair in listed], dtype=np.bool_),
        )
