"""Which speakers each replicate of a bootstrap draws, and what of its spread is the speakers'.

Shapes: K speakers, R replicates.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Floats = NDArray[np.float64]

NUM_REPLICATES = 1000
# Which speakers a replicate draws follows from this and their number alone, so that all models on
# one list have the same replicates.
SEED = 20040517
# Of so many replicates for each speaker, how each speaker moves them can be told.
REPLICATES_A_SPEAKER = 4


@lru_cache(maxsize=4)
def multiplicities(num_speakers: int, num_replicates: int = NUM_REPLICATES) -> Index:
    """How often each replicate has each speaker, (K, R), read-only; each column adds up to K.

    From the raw stream of a fixed generator, which no version of NumPy changes: so the replicates
    of a search that goes on later are the same.
    """
    raw = np.random.PCG64(SEED).random_raw(num_replicates * num_speakers)
    drawn_RK = (raw % num_speakers).astype(np.int64).reshape(num_replicates, num_speakers)
    cells = drawn_RK + num_speakers * np.arange(num_replicates)[:, None]
    counts = np.bincount(cells.ravel(), minlength=cells.size)
    times_KR = np.ascontiguousarray(counts.reshape(num_replicates, num_speakers).T)
    times_KR.flags.writeable = False
    return times_KR


def speakers_sd(values_R: Floats, num_speakers: int) -> float:
    """Standard deviation over replicates of what each drawn speaker adds by itself.

    The least-squares fit on how often each speaker was drawn, less what as many random numbers
    would fit. What is left out is of single non-target pairs, whose part of the variance weights
    m n show three times as large as it is (Owen 2007), and this shows twice. So a third of the
    whole variance is the least that can be true.

    Args:
        values_R: One a replicate of `multiplicities`, NaN where it has none.
        num_speakers: Speakers of the list; with too many for so few replicates the standard
            deviation is that of the values.
    """
    is_defined = np.isfinite(values_R)
    centred_R = np.where(is_defined, values_R - values_R[is_defined].mean(), 0.0)
    whole = float((centred_R**2).sum()) / int(is_defined.sum())
    if num_speakers * REPLICATES_A_SPEAKER > values_R.size:
        return float(np.sqrt(whole))
    basis_RJ = _basis(num_speakers, values_R.size)
    fitted = float(((basis_RJ.T @ centred_R) ** 2).sum()) / values_R.size
    num_free = values_R.size - basis_RJ.shape[1] - 1
    rest = max(whole - fitted, 0.0) * values_R.size / num_free
    speakers = fitted - rest * basis_RJ.shape[1] / values_R.size
    return float(np.sqrt(max(speakers, whole / 3)))


@lru_cache(maxsize=4)
def _basis(num_speakers: int, num_replicates: int) -> Floats:
    """Orthonormal columns that span the draws, (R, K - 1): the last speaker's follow."""
    times_RK = multiplicities(num_speakers, num_replicates).T
    return np.linalg.qr(times_RK[:, :-1] - times_RK[:, :-1].mean(0))[0]
