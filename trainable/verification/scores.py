"""Validation scores with their bootstrap, the speakers of the list, and the file of scores.

The training loop keeps the scores of its best epoch; `veer compare` reads them for paired
comparisons.

Shapes: P trial pairs, V utterances, R replicates.
"""

import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spaces.files.atomic import write_bytes_atomically
from spaces.files.disk import translate_disk_full
from spaces.files.errors import DamagedError
from trainable.corpus.lists import speaker_of
from trainable.features.crop_bank import Index
from trainable.features.training_data import TrainingData
from trainable.verification.bootstrap import SpeakerBootstrap, SpeakerPairs
from trainable.verification.intervals import NUM_REPLICATES, Interval
from trainable.verification.metrics import Floats, equal_error_rate

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
        """Return an epoch's VEER fields for the report, and its scores if it is the best so far.

        Args:
            scores: (P,) scores of the model after the epoch.
            best_pct: The lowest VEER of the earlier epochs, percent; infinite before the first.
            number: The epoch, from 1.
        """
        veer_pct = equal_error_rate(scores, self._data.val_is_target)
        if best_pct <= veer_pct:
            return {"veer_pct": veer_pct}, None
        measured = self.measure(scores, number)
        fields = {"veer_pct": veer_pct}
        if measured.interval is not None:
            fields["veer_low_pct"] = measured.interval.low_pct
            fields["veer_high_pct"] = measured.interval.high_pct
        return fields, measured

    def measure(self, scores: Floats, epoch: int = 0) -> MeasuredScores:
        """Return scores with VEER, replicates and interval; `epoch` is recorded with them."""
        if self._bootstrap is None:
            self._bootstrap = SpeakerBootstrap(validation_pairs(self._data))
        veer_pct = equal_error_rate(scores, self._data.val_is_target)
        replicates = self._bootstrap.eer_pct(scores)
        return MeasuredScores(
            epoch=epoch,
            veer_pct=veer_pct,
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
    for number, path in sorted(zip(group.tolist(), paths, strict=True), key=lambda each: each[1]):
        first.setdefault(number, path)
    return tuple(first[number] for number in group.tolist())


def validation_pairs(data: TrainingData) -> SpeakerPairs:
    """Return the validation list's pairs with the speakers of their utterances."""
    names = np.array(speakers_of(data.val_paths, data.val_a, data.val_b, data.val_is_target))
    return SpeakerPairs.of(
        names[data.val_a].tolist(), names[data.val_b].tolist(), data.val_is_target
    )


def write_scores(path: Path, measured: MeasuredScores) -> None:
    """Write scores to a file, atomically; an earlier file is replaced, and the folder is created.

    Raises:
        DiskFullError: The disk is full; an earlier file is unchanged.
    """
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
