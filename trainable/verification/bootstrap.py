"""The uncertainty of an EER: a bootstrap over speakers, and the paired comparison of two models.

Trial pairs are not independent: a speaker who is hard to recognise is hard in all of their pairs.
So speakers are drawn, with replacement, as many as there are. A target pair of a speaker drawn m
times weighs m: each drawn copy brings the speaker's own pairs once (not m^2, which would also pair
the copies with each other, as if that were more of the same evidence). A non-target pair of
speakers drawn m and n times weighs m n: every copy of one with every copy of the other. Where
labels contradict the speakers, a pair weighs by its speakers.

Speakers as the unit: Bolle et al., "Error analysis of pattern recognition systems: the subsets
bootstrap" (2004), and Poh and Bengio, "Performance generalization in biometric authentication
using joint user-specific and sample bootstraps" (2007). Products of counts for data with two
sides: Owen, "The pigeonhole bootstrap" (2007), which shows that they overstate the variance where
pairs differ by themselves rather than by their speakers, and never understate it in the long run.
Two systems on the same replicates: Bisani and Ney, "Bootstrap estimates for confidence intervals
in ASR performance evaluation" (2004).

Shapes: P trial pairs, K speakers, R replicates, E thresholds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainable.features.crop_bank import Index
from trainable.verification.intervals import (
    NUM_REPLICATES,
    EERDifference,
    Interval,
    draw_counts,
    eer_difference,
    rate_interval,
)
from trainable.verification.metrics import Floats, checked_pairs, equal_error_rate

Sums = tuple[Floats, Floats]  # over non-target and over target pairs

# Pairs that are weighted at once: their weights in all replicates fit a core's cache.
BLOCK_PAIRS = 256
# Whole numbers up to this are exact in float32.
EXACT_IN_FLOAT32 = 2**24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeakerPairs:
    """The speakers of the utterances of each trial pair.

    Attributes:
        speaker_a: (P,) number of the first utterance's speaker.
        speaker_b: (P,) number of the second utterance's speaker.
        is_target: (P,) label: whether both are of one speaker.
        num_speakers: Speakers of the list.
    """

    speaker_a: Index
    speaker_b: Index
    is_target: NDArray[np.bool_]
    num_speakers: int

    @classmethod
    def of(
        cls, speaker_a: Sequence[str], speaker_b: Sequence[str], is_target: ArrayLike
    ) -> "SpeakerPairs":
        """Create from speaker names; speakers are numbered in the order of their names.

        Raises:
            ValueError: Lengths differ.
        """
        labels = np.asarray(is_target, dtype=np.bool_)
        if not len(speaker_a) == len(speaker_b) == labels.size:
            raise ValueError(
                "two speakers and one label per pair are needed, got "
                f"{len(speaker_a)}, {len(speaker_b)} and {labels.size}"
            )
        # Numbered by name, so that a speaker's draws do not depend on the order of the pairs.
        names, number = np.unique(np.array([*speaker_a, *speaker_b]), return_inverse=True)
        first, second = number[: labels.size], number[labels.size :]
        return cls(
            speaker_a=first, speaker_b=second, is_target=labels, num_speakers=len(names)
        )


class SpeakerBootstrap:
    """Computes the EER of scores in every replicate of one list's speakers.

    Args:
        pairs: The pairs of the list.
        num_replicates: Number of draws of its speakers.
    """

    def __init__(self, pairs: SpeakerPairs, num_replicates: int = NUM_REPLICATES) -> None:
        self.pairs = pairs
        times_KR = draw_counts(pairs.num_speakers, num_replicates)
        # The largest sum of a block: each pair has the two speakers that are drawn most often.
        # float32 halves the bytes that every block reads.
        is_exact = BLOCK_PAIRS * int(times_KR.max()) ** 2 < EXACT_IN_FLOAT32
        self._times_KR: NDArray[np.floating] = times_KR.astype(
            np.float32 if is_exact else np.float64
        )
        # The totals follow from labels and draws, so they are the same for all scores.
        self._all = self._sums(np.arange(pairs.is_target.size))

    def eer_pct(self, scores: ArrayLike) -> Floats:
        """Return the interpolated EER of every replicate, (R,), percent.

        Scores are sorted once. A replicate's weights are summed from the highest score down, in
        blocks of pairs, up to the block that contains FPR = FNR. Only in that block are they
        summed pair by pair.

        Returns:
            NaN for a replicate without target pairs or without non-target pairs.

        Raises:
            ValueError: As `metrics.equal_error_rate`.
        """
        score, _ = checked_pairs(scores, self.pairs.is_target)
        order = np.argsort(-score, kind="stable")
        # Equal scores are accepted together: only their last one is a threshold.
        ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) + 1
        all_false, all_true = self._all
        eer_R = np.full(all_false.size, np.nan)
        left = np.flatnonzero((all_false > 0) & (all_true > 0))
        false_R, true_R = np.zeros_like(all_false), np.zeros_like(all_true)
        for start, inner in _blocks(ends):
            false, true = self._sums(order[start : inner[-1]])
            fpr = (false_R + false)[left] / all_false[left]
            is_here = fpr >= 1 - (true_R + true)[left] / all_true[left]
            here, left = left[is_here], left[~is_here]
            if here.size:
                before = false_R[here], true_R[here]
                after = before[0] + false[here], before[1] + true[here]
                steps = self._steps(order[start : inner[-1]], inner[:-1] - start, here)
                eer_R[here] = _crossing(before, steps, after, (all_false[here], all_true[here]))
            # Pairs that score below the crossings of all replicates need not be weighted.
            if not left.size:
                break
            false_R, true_R = false_R + false, true_R + true
        return 100 * eer_R

    def interval(self, eer_pct: float, replicates: ArrayLike) -> Interval | None:
        """Return the 95 % interval of an EER on this list; see `intervals.eer_interval`.

        Args:
            eer_pct: EER of all pairs, percent.
            replicates: (R,) from `eer_pct`.
        """
        num_target = int(self.pairs.is_target.sum())
        return rate_interval(
            eer_pct,
            replicates,
            num_speakers=self.pairs.num_speakers,
            num_pairs=min(num_target, self.pairs.is_target.size - num_target),
        )

    def rates_pct(self, scores: ArrayLike, threshold: float) -> tuple[Floats, Floats]:
        """Return the rates of false accepts and of misses in every replicate, each (R,), percent.

        Args:
            scores: (P,) scores; those above the threshold are accepted.
            threshold: The threshold, the same in all replicates.

        Returns:
            NaN for a replicate without such pairs.
        """
        false_R, true_R = self._sums(np.flatnonzero(np.asarray(scores) > threshold))
        all_false, all_true = self._all
        with np.errstate(invalid="ignore"):
            return 100 * false_R / all_false, 100 * (1 - true_R / all_true)

    def thresholds(self, scores: ArrayLike, false_accept_pct: float) -> Floats:
        """Return the lowest threshold with at most this rate of false accepts, (R,).

        Scores above a threshold are accepted, so it is a score of a non-target pair.
        """
        score = np.asarray(scores, dtype=np.float64)
        others = np.flatnonzero(~self.pairs.is_target)
        order = others[np.argsort(-score[others], kind="stable")]
        # Weights are whole numbers: half of one is far above rounding.
        most_R = self._all[0] * false_accept_pct / 100 + 1e-6
        found_R = np.full(most_R.size, np.nan)
        left, false_R = np.flatnonzero(self._all[0] > 0), np.zeros(most_R.size)
        for start in range(0, order.size, BLOCK_PAIRS):
            rows = order[start : start + BLOCK_PAIRS]
            after_R = false_R + self._sums(rows)[0]
            is_here = after_R[left] > most_R[left]
            here, left = left[is_here], left[~is_here]
            if here.size:
                steps, _ = self._steps(rows, np.arange(1, rows.size + 1), here)
                first = np.argmax(false_R[here] + steps > most_R[here], axis=0)
                found_R[here] = score[rows[first]]
            if not left.size:
                break
            false_R = after_R
        return found_R

    def _sums(self, rows: Index) -> Sums:
        """Sum the weights of some pairs in all replicates, each (R,); whole numbers, so exact."""
        false_R = np.zeros(self._times_KR.shape[1])
        true_R = np.zeros_like(false_R)
        for first in range(0, rows.size, BLOCK_PAIRS):
            part = rows[first : first + BLOCK_PAIRS]
            is_target = self.pairs.is_target[part]
            true_R += self._weight(part[is_target])
            false_R += self._weight(part[~is_target])
        return false_R, true_R

    def _weight(self, part: Index) -> NDArray[np.floating]:
        """Sum the weights of a block of pairs, (R,)."""
        a, b = self.pairs.speaker_a[part], self.pairs.speaker_b[part]
        same, times = a == b, self._times_KR
        both = np.einsum("pr,pr->r", times[a[~same]], times[b[~same]])
        return np.asarray(times[a[same]].sum(0) + both)

    def _steps(self, rows: Index, ends: Index, here: Index) -> Sums:
        """Sum a block's weights up to each inner threshold, for the replicates `here`, (E, H)."""
        if not ends.size:  # all pairs of the block have the same score
            nothing = np.zeros((0, here.size))
            return nothing, nothing
        times = self._times_KR[:, here].astype(np.float64)
        a, b = self.pairs.speaker_a[rows], self.pairs.speaker_b[rows]
        weight = times[a] * np.where((a == b)[:, None], 1, times[b])
        is_target = self.pairs.is_target[rows, None]
        true, false = np.where(is_target, weight, 0), np.where(is_target, 0, weight)
        return false.cumsum(0)[ends - 1], true.cumsum(0)[ends - 1]


def paired_difference(
    scores_a: ArrayLike, scores_b: ArrayLike, pairs: SpeakerPairs
) -> EERDifference:
    """Return the EER of one model minus another's, on one list and the same replicates.

    Args:
        scores_a: (P,) scores of the first model.
        scores_b: (P,) scores of the second model.
        pairs: The pairs of the list.

    Raises:
        ValueError: As `metrics.equal_error_rate`, of either.
    """
    bootstrap = SpeakerBootstrap(pairs)
    eer_pct = [equal_error_rate(each, pairs.is_target) for each in (scores_a, scores_b)]
    replicates = [bootstrap.eer_pct(each) for each in (scores_a, scores_b)]
    return eer_difference(
        (eer_pct[0], eer_pct[1]), (replicates[0], replicates[1]), pairs.num_speakers
    )


def _blocks(ends: Index) -> Iterator[tuple[int, Index]]:
    """Yield the start of each block of sorted pairs and the thresholds in it; the last is its end.

    A block has at most `BLOCK_PAIRS` pairs, or a single threshold.
    """
    first, start = 0, 0
    while first < ends.size:
        after = max(first + 1, int(np.searchsorted(ends, start + BLOCK_PAIRS, side="right")))
        yield start, ends[first:after]
        first, start = after, int(ends[after - 1])


def _crossing(before: Sums, steps: Sums, after: Sums, totals: Sums) -> Floats:
    """Return the rate where FPR = FNR between two thresholds, 0 to 1, one per replicate."""
    false, true = (
        np.vstack([first, first + inner, last])
        for first, inner, last in zip(before, steps, after, strict=True)
    )
    fpr, fnr = false / totals[0], 1 - true / totals[1]
    gap = fpr - fnr
    high = np.argmax(gap >= 0, axis=0)  # never the first: its gap is below 0
    low, column = high - 1, np.arange(high.size)
    slope = (fpr[high, column] - fpr[low, column]) / (gap[high, column] - gap[low, column])
    return np.asarray(fpr[low, column] - slope * gap[low, column])
