"""Over which pairs of validation utterances the bank of real curves has its figures.

Index 0: all pairs. 1 and 2: the pairs within the two halves of one cut of the 28 speakers, 3 and 4
within those of the next cut, ... 20. 21: the listed pairs. One half of a cut can decide a search,
the other half judges what it found.

Shapes: P all pairs, L listed pairs.
"""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainable.features.training_data import TrainingData
from trainable.verification.metrics import Floats, dprime

NUM_CUTS = 10
ALL, LISTED = 0, 2 * NUM_CUTS + 1


def all_pairs_list(listed: Path, folder: Path) -> Path:
    """Write a trial list with all pairs of a list's utterances, unless it exists; return it."""
    file = folder / "allpairs.txt"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        paths = sorted({path for line in _lines(listed) for path in line.split()[1:]})
        part = folder / "allpairs.part"
        part.write_text(
            "".join(
                f"{int(a.split('/')[0] == b.split('/')[0])} {a} {b}\n"
                for a, b in itertools.combinations(paths, 2)
            )
        )
        part.rename(file)
    return file


@dataclass(frozen=True, kw_only=True, eq=False)
class BankPairs:
    """Pairs of validation utterances, and the parts that figures are computed over.

    Attributes:
        is_target: (P,) whether both utterances are of one speaker.
        masks: (1 + 2 cuts, P) the pairs of each part but the last.
        listed: (L,) the listed pairs, in the order of the list.
    """

    is_target: NDArray[np.bool_]
    masks: NDArray[np.bool_]
    listed: NDArray[np.int64]

    def metrics(self, scores: Floats) -> Floats:
        """Return EER %, d' and 1 - AUC of (P,) scores over each part, (parts, 3)."""
        parts = [*(np.flatnonzero(mask) for mask in self.masks), self.listed]
        found = [_metrics(scores[part], self.is_target[part]) for part in parts]
        return np.array(found, np.float32)


def bank_pairs(data: TrainingData, listed: Path) -> BankPairs:
    """Return the pairs of a corpus whose validation list has all pairs."""
    speakers = np.array([path.split("/")[0] for path in data.val_paths])
    _, speaker = np.unique(speakers, return_inverse=True)
    num_speakers = int(speaker.max()) + 1
    rng = np.random.default_rng(1)
    masks = [np.ones(len(data.val_a), bool)]
    for _ in range(NUM_CUTS):
        half = np.zeros(num_speakers, bool)
        half[rng.permutation(num_speakers)[: num_speakers // 2]] = True
        masks += [each[speaker[data.val_a]] & each[speaker[data.val_b]] for each in (half, ~half)]
    number = {
        frozenset((data.val_paths[a], data.val_paths[b])): each
        for each, (a, b) in enumerate(zip(data.val_a, data.val_b, strict=True))
    }
    order = [number[frozenset(line.split()[1:])] for line in _lines(listed)]
    return BankPairs(
        is_target=data.val_is_target, masks=np.array(masks), listed=np.array(order, np.int64)
    )


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def _metrics(scores: Floats, is_target: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return EER % (at the first threshold where FPR reaches FNR), d' and 1 - AUC."""
    target = is_target[np.argsort(-scores, kind="stable")]
    num_target, num_other = int(target.sum()), int((~target).sum())
    fnr, fpr = 1 - np.cumsum(target) / num_target, np.cumsum(~target) / num_other
    place = int(np.argmax(fpr >= fnr))
    distance = dprime(scores, is_target)
    rank = np.empty(len(scores))
    rank[np.argsort(scores)] = np.arange(len(scores))
    wins = rank[is_target].sum() - num_target * (num_target - 1) / 2
    auc = wins / (num_target * num_other)
    eer_pct = 50 * float(fnr[place] + fpr[place])
    return eer_pct, math.nan if distance is None else distance, float(1 - auc)
