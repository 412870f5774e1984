"""How well a way to find speakers in paths agrees with the labels, where none agrees with all.

Shapes: P trial pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A folder and labels that agree so rarely by chance are of the same speakers: where the labels
# contradict each other, so that some are wrong for certain, and where they do not.
SIGNIFICANT, VERY_SIGNIFICANT = 0.01, 0.001
# Labels of each kind that may be wrong in a list that does not contradict itself.
_MAX_WRONG = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Agreement of labels and of what a rule gives for each pair, one speaker or two.

    Attributes:
        num_contradicted: Pairs with another label than the rule gives.
        num_pairs: All pairs.
        p_value: Probability that unrelated labels agree or contradict so much (Fisher's exact
            test, two-sided, times the number of rules that were tried).
        is_most: Whether most pairs of both kinds, one speaker and two by the rule, have the label
            of the rule; or most of both kinds have the other one.
        is_close: Whether labels of both kinds are contradicted, but at most a quarter of each.
            Sessions, which are parts of a speaker, and groups of speakers contradict one kind.
    """

    num_contradicted: int
    num_pairs: int
    p_value: float
    is_most: bool
    is_close: bool

    def shows_speakers(self, *, labels_agree: bool) -> bool:
        """Return whether the rule gives the speakers, so that labels that contradict it are wrong.

        Args:
            labels_agree: Whether the labels do not contradict each other, so that they may be
                right.
        """
        if labels_agree:
            return self.is_close and self.p_value < VERY_SIGNIFICANT
        return self.is_most and self.p_value < SIGNIFICANT

    @property
    def in_words(self) -> str:
        """How many labels contradict the rule, and how likely that is by chance."""
        return (
            f"{self.num_contradicted:,} of {self.num_pairs:,} labels contradict it (p = "
            f"{self.p_value:.1g} if it had nothing to do with the speakers)"
        )


def agreement(
    is_same: NDArray[np.bool_], is_target: NDArray[np.bool_], num_rules: int
) -> Agreement:
    """Compare what a rule gives with the labels.

    Args:
        is_same: (P,) whether the rule gives one speaker for both sides.
        is_target: (P,) the labels.
        num_rules: Number of rules that were tried.
    """
    # Slow to import, in every process of a trial, and few lists need it.
    from scipy.stats import fisher_exact

    kinds = (is_same, ~is_same)
    table = [[int((kind & label).sum()) for label in (is_target, ~is_target)] for kind in kinds]
    right = [row[place] / max(sum(row), 1) for place, row in enumerate(table)]
    return Agreement(
        num_contradicted=table[0][1] + table[1][0],
        num_pairs=is_target.size,
        p_value=min(1.0, float(fisher_exact(table)[1]) * num_rules),
        is_most=min(right) > 0.5 or (max(right) < 0.5 and all(map(sum, table))),
        is_close=all(1 - _MAX_WRONG <= share < 1 for share in right),
    )
