"""Validation scores of a model, and the file that keeps them next to the checkpoints.

The training loop keeps the scores of its best epoch; `veer compare` reads them for paired
comparisons.

Shapes: P trial pairs, R replicates.
"""

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spaces.files.atomic import write_bytes_atomically
from spaces.files.disk import translate_disk_full
from spaces.files.errors import DamagedError
from trainable.verification.intervals import NUM_REPLICATES, Interval

SCORES_FILE = "scores.npz"
# Upper bound of the archive's overhead: names, sizes, checksums and headers of four arrays.
ARCHIVE_BYTES = 2000

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredScores:
    """A model's scores on the validation list, with VEER and bootstrap.

    Attributes:
        epoch: Epochs of training before the scores; 0 for a model from outside the run.
        veer_pct: Interpolated EER, percent, of the scores in double precision.
        scores: (P,) in the order of the list.
        replicates: (R,) VEER of each bootstrap replicate, percent; NaN if undefined.
        interval: 95 % interval of `veer_pct`; None if the list has too few speakers or errors,
            and if the scores were read from a file.
    """

    epoch: int
    veer_pct: float
    scores: Float32Array
    replicates: Float32Array
    interval: Interval | None = None


def write_scores(path: Path, measured: MeasuredScores) -> None:
    """Write scores to a file, atomically; an earlier file is replaced, and the folder is created.

    Raises:
        DiskFullError: The disk is full; an earlier file is unchanged.
    """
    # In memory first, so that the file can be replaced atomically.
    content = io.BytesIO()
    np.savez(
        content,
        scores=measured.scores,
        replicates=measured.replicates,
        epoch=np.int64(measured.epoch),
        veer_pct=np.float64(measured.veer_pct),
    )
    with translate_disk_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(path, content.getvalue())


def read_scores(path: Path) -> MeasuredScores:
    """Read a file from `write_scores`; nothing in it is executed.

    Raises:
        DamagedError: The file is damaged or not a file of scores.
        OSError: It cannot be read; `FileNotFoundError` if it does not exist.
    """
    content = path.read_bytes()  # NumPy leaves the file of a damaged archive open
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            found = MeasuredScores(
                epoch=int(arrays["epoch"]),
                veer_pct=float(arrays["veer_pct"]),
                scores=arrays["scores"],
                replicates=arrays["replicates"],
            )
    # Which one NumPy or zipfile raises depends on where the damage is.
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedError(f"{path}: these scores are damaged: {error}") from error
    _require_sound(found, path)
    return found


def scores_bytes(num_pairs: int) -> int:
    """Return an upper bound of the bytes of a file of scores."""
    return np.float32().itemsize * (num_pairs + NUM_REPLICATES) + ARCHIVE_BYTES


def _require_sound(found: MeasuredScores, path: Path) -> None:
    for name, values in (("scores", found.scores), ("replicates", found.replicates)):
        if values.dtype != np.float32 or values.ndim != 1:
            raise DamagedError(
                f"{path}: these scores are damaged: {name} must be a row of float32, got "
                f"{values.dtype} of shape {values.shape}"
            )
    if not (np.isfinite(found.scores).all() and math.isfinite(found.veer_pct)):
        raise DamagedError(f"{path}: these scores are damaged: one is NaN or infinite")
