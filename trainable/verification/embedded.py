"""The embeddings of a list's utterances, and scores of its pairs by them.

Shapes: U utterances, P trial pairs, D embedding.
"""

from dataclasses import dataclass

from trainable.features.crop_bank import Index
from trainable.verification.metrics import Floats
from trainable.verification.scoring import cosine_scores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedUtterances:
    """Utterances with one embedding each.

    Attributes:
        paths: (U,) the utterances, as the list names them.
        mean_UD: Mean embedding over the crops of each, float64, not scaled.
        duration_s_U: Length of each, seconds.
    """

    paths: tuple[str, ...]
    mean_UD: Floats
    duration_s_U: Floats

    def cosines(self, index_a: Index, index_b: Index) -> Floats:
        """Return the cosine of pairs of utterances, by their positions, (P,)."""
        return cosine_scores(self.mean_UD[:, None], index_a, index_b)
