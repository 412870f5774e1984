"""The scores of a run's models on its validation list, and comparisons of trials by them.

A worker writes the scores of a trial before it reports the epoch, so a file may belong to an epoch
that the journal does not have yet. Only the scores of the best epoch in the journal are returned.
Where there are none, as where the files were deleted, or where the file is damaged, the values of
the journal still hold; only what the scores would add is missing.

Shapes: P trial pairs, R bootstrap replicates.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from results.journal.history import TrialHistory
from results.journal.run_folder import RunFolder
from results.records.search_records import TeacherRecord
from spaces.files.errors import DamagedError
from trainable.verification.intervals import EERDifference, eer_difference
from trainable.verification.scores import SCORES_FILE, MeasuredScores, read_scores

SCORES_FOLDER = "scores"
PAIRS_SCHEMA = pa.schema(
    [
        pa.field("path_a", pa.string()),
        pa.field("path_b", pa.string()),
        pa.field("speaker_a", pa.string()),
        pa.field("speaker_b", pa.string()),
        pa.field("is_target", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrialScores:
    """The scores of a model on the validation list.

    Attributes:
        scores: (P,) in the order of the list; a higher score means more likely the same speaker.
        replicates: (R,) VEER of each bootstrap replicate, percent; NaN where a replicate has none.
        is_target: (P,) whether both utterances of a pair are of one speaker.
        epoch: The best epoch of the trial; 0 for the teacher.
    """

    scores: NDArray[np.float32]
    replicates: NDArray[np.float32]
    is_target: NDArray[np.bool_]
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ValidationList:
    """The validation list as saved in a run folder."""

    table: pa.Table
    is_target: NDArray[np.bool_]
    num_speakers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _CachedReplicates:
    """The replicates of a scores file, and the state of the file when it was read."""

    state: tuple[int, int]  # time of modification in ns, size in bytes
    epoch: int
    veer_pct: float
    num_pairs: int
    replicates: NDArray[np.float32]


class RunScores:
    """The scores of one run; a file is read at the first use, and again after it was replaced.

    Keep one instance to follow a running search.

    Attributes:
        damages: Why files could not be used, a sentence a file.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._list: _ValidationList | None = None
        self._cache: dict[int, _CachedReplicates] = {}
        self._damages: dict[Path, str] = {}

    @property
    def damages(self) -> tuple[str, ...]:
        """Why files could not be used so far, a sentence a file."""
        return tuple(self._damages.values())

    def pairs(self) -> pa.Table | None:
        """Return the validation list: path_a, path_b, speaker_a, speaker_b, is_target."""
        listed = self._pairs()
        return None if listed is None else listed.table

    def trial(self, history: TrialHistory) -> TrialScores | None:
        """Return the scores of a trial's best epoch; None where there are none."""
        if history.best is None:
            return None
        found = self._read(_trial_file(self._run, history.trial))
        best = history.best
        if found is None or (found.epoch, found.veer_pct) != (best.epoch, best.veer_pct):
            return None
        return self._fitting(found)

    def teacher(self, record: TeacherRecord | None) -> TrialScores | None:
        """Return the teacher's scores from the start of the search; None without them.

        Args:
            record: The latest `teacher` record of the journal.
        """
        if record is None:
            return None
        found = self._read(teacher_scores_file(self._run.path))
        # Another VEER: the scores are of another teacher.
        if found is None or found.veer_pct != record.veer_pct:
            return None
        return self._fitting(found)

    def behind(
        self,
        history: TrialHistory,
        first: TrialHistory,
        *,
        scores_of_first: "RunScores | None" = None,
    ) -> EERDifference | None:
        """Return the difference of two trials' VEERs, with its interval on the same replicates.

        Args:
            history: A trial of this run.
            first: The trial to compare it with, usually the first in rank.
            scores_of_first: Scores of the run of `first`, if that is another run; its validation
                list must be the same.

        Returns:
            None where one of the two has no usable replicates.
        """
        of_first = self if scores_of_first is None else scores_of_first
        both = self._replicates(history), of_first._replicates(first)
        listed, list_of_first = self._pairs(), of_first._pairs()
        if both[0] is None or both[1] is None or listed is None or list_of_first is None:
            return None
        # Replicates are draws of speakers of the list, so they match only on the same list.
        if of_first is not self and not listed.table.equals(list_of_first.table):
            return None
        if both[0].replicates.shape != both[1].replicates.shape:
            return None
        return eer_difference(
            (both[0].veer_pct, both[1].veer_pct),
            (both[0].replicates, both[1].replicates),
            listed.num_speakers,
        )

    def _replicates(self, history: TrialHistory) -> _CachedReplicates | None:
        file = _trial_file(self._run, history.trial)
        try:
            stat = file.stat()
        except OSError:
            return None
        state, best = (stat.st_mtime_ns, stat.st_size), history.best
        cached = self._cache.get(history.trial)
        if cached is None or cached.state != state:
            if (found := self._read(file)) is None:
                return None
            cached = self._cache[history.trial] = _CachedReplicates(
                state=state,
                epoch=found.epoch,
                veer_pct=found.veer_pct,
                num_pairs=found.scores.size,
                replicates=found.replicates,
            )
        listed = self._pairs()
        if best is None or listed is None or cached.num_pairs != listed.is_target.size:
            return None
        is_best = (cached.epoch, cached.veer_pct) == (best.epoch, best.veer_pct)
        return cached if is_best else None

    def _read(self, file: Path) -> MeasuredScores | None:
        try:
            return read_scores(file)
        except FileNotFoundError:
            return None
        except (DamagedError, OSError) as damage:
            self._damages[file] = f"{damage}; the trial is shown without them"
            return None

    def _fitting(self, found: MeasuredScores) -> TrialScores | None:
        """Return scores with their labels; None where they do not fit the validation list."""
        listed = self._pairs()
        if listed is None or listed.is_target.size != found.scores.size:
            return None
        return TrialScores(
            scores=found.scores,
            replicates=found.replicates,
            is_target=listed.is_target,
            epoch=found.epoch,
        )

    def _pairs(self) -> _ValidationList | None:
        file = pairs_file(self._run.path)
        if self._list is None and file.is_file():
            try:
                table = pq.ParquetFile(file).read()
            except (OSError, pa.ArrowException) as error:
                self._damages[file] = f"{file}: this list is damaged: {error}; scores are left out"
                return None
            if not table.schema.equals(PAIRS_SCHEMA) or any(c.null_count for c in table.columns):
                self._damages[file] = (
                    f"{file}: this list is damaged: it must have {', '.join(PAIRS_SCHEMA.names)} "
                    "without nulls; scores are left out"
                )
                return None
            speakers = {*table["speaker_a"].to_pylist(), *table["speaker_b"].to_pylist()}
            self._list = _ValidationList(
                table=table,
                is_target=np.array(table["is_target"].to_pylist(), np.bool_),
                num_speakers=len(speakers),
            )
        return self._list


def pairs_file(run: Path) -> Path:
    """Return the file of the validation list in a run folder."""
    return run / SCORES_FOLDER / "pairs.parquet"


def teacher_scores_file(run: Path) -> Path:
    """Return the file of the teacher's scores in a run folder."""
    return run / SCORES_FOLDER / "teacher.npz"


def _trial_file(run: RunFolder, number: int) -> Path:
    return run.trial(number) / SCORES_FILE
