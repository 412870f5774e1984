"""Scores of a run's models on its validation list, and which trials they cannot tell apart.

A worker writes a trial's scores before it tells of the epoch, so a file may be of an epoch that
the journal does not have yet. Only scores of the journal's best epoch are given. Where there are
none, as in runs of earlier versions, or the file is damaged, the journal's figures stand, and what
scores would add is left out.

Shapes: P trial pairs, R replicates.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from results.journal.history import TrialHistory, latest
from results.journal.journal import Record
from results.journal.run_folder import RunFolder
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
    """What a model scored on the validation list.

    Attributes:
        scores: (P,) in the order of the list; higher means the same speaker.
        replicates: (R,) VEER of each bootstrap replicate, percent; NaN where it has none.
        is_target: (P,) whether a pair is of one speaker.
        epoch: The trial's best epoch; 0 of the teacher.
    """

    scores: NDArray[np.float32]
    replicates: NDArray[np.float32]
    is_target: NDArray[np.bool_]
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _List:
    """The validation list as a run keeps it."""

    table: pa.Table
    is_target: NDArray[np.bool_]
    num_speakers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Replicates read before, and the file's state then."""

    state: tuple[int, int]
    epoch: int
    veer_pct: float
    num_pairs: int
    replicates: NDArray[np.float32]


class RunScores:
    """The scores of one run, each file read when it is first asked for and when it was replaced.

    Keep one to look at a running search again and again.

    Attributes:
        damages: What could not be used, a sentence a file.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._list: _List | None = None
        self._known: dict[int, _Known] = {}
        self._damages: dict[Path, str] = {}

    @property
    def damages(self) -> tuple[str, ...]:
        """What could not be used so far, a sentence a file."""
        return tuple(self._damages.values())

    def pairs(self) -> pa.Table | None:
        """The validation list: path_a, path_b, speaker_a, speaker_b, is_target."""
        found = self._pairs()
        return None if found is None else found.table

    def trial(self, history: TrialHistory) -> TrialScores | None:
        """The scores of a trial's best epoch; None where there are none."""
        if history.best is None:
            return None
        found = self._read(_trial_file(self._run, history.trial))
        best = history.best
        if found is None or (found.epoch, found.veer_pct) != (best["epoch"], best["veer_pct"]):
            return None
        return self._fitting(found)

    def teacher(self, told: Record | None) -> TrialScores | None:
        """The teacher's scores, as it was measured when the search began; None without them.

        Args:
            told: The journal's latest `teacher` record.
        """
        if told is None:
            return None
        found = self._read(teacher_scores_file(self._run.path))
        if found is None or found.veer_pct != told["veer_pct"]:
            return None
        return self._fitting(found)

    def behind(
        self,
        history: TrialHistory,
        first: TrialHistory,
        *,
        scores_of_first: "RunScores | None" = None,
    ) -> EERDifference | None:
        """How far a trial's VEER is above another's, on the same replicates; None without them.

        Args:
            history: A trial of this run.
            first: The other.
            scores_of_first: Of the other's run, where that is another; its list must be the same.
        """
        of_first = self if scores_of_first is None else scores_of_first
        both = self._replicates(history), of_first._replicates(first)
        listed, list_of_first = self._pairs(), of_first._pairs()
        if both[0] is None or both[1] is None or listed is None or list_of_first is None:
            return None
        if of_first is not self and not listed.table.equals(list_of_first.table):
            return None
        if both[0].replicates.shape != both[1].replicates.shape:
            return None  # of versions that drew another number of them
        return eer_difference(
            (both[0].veer_pct, both[1].veer_pct),
            (both[0].replicates, both[1].replicates),
            listed.num_speakers,
        )

    def _replicates(self, history: TrialHistory) -> _Known | None:
        file = _trial_file(self._run, history.trial)
        try:
            stat = file.stat()
        except OSError:
            return None
        state, best = (stat.st_mtime_ns, stat.st_size), history.best
        known = self._known.get(history.trial)
        if known is None or known.state != state:
            if (found := self._read(file)) is None:
                return None
            known = self._known[history.trial] = _Known(
                state=state,
                epoch=found.epoch,
                veer_pct=found.veer_pct,
                num_pairs=found.scores.size,
                replicates=found.replicates,
            )
        listed = self._pairs()
        if best is None or listed is None or known.num_pairs != listed.is_target.size:
            return None
        is_best = (known.epoch, known.veer_pct) == (best["epoch"], best["veer_pct"])
        return known if is_best else None

    def _read(self, file: Path) -> MeasuredScores | None:
        try:
            return read_scores(file)
        except FileNotFoundError:
            return None
        except (DamagedError, OSError) as damage:
            self._damages[file] = f"{damage}; what it would tell of the trial is left out"
            return None

    def _fitting(self, found: MeasuredScores) -> TrialScores | None:
        listed = self._pairs()
        if listed is None or listed.is_target.size != found.scores.size:
            return None
        return TrialScores(
            scores=found.scores,
            replicates=found.replicates,
            is_target=listed.is_target,
            epoch=found.epoch,
        )

    def _pairs(self) -> _List | None:
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
            self._list = _List(
                table=table,
                is_target=np.array(table["is_target"].to_pylist(), np.bool_),
                num_speakers=len(speakers),
            )
        return self._list


def pairs(run: RunFolder) -> pa.Table | None:
    """The validation list of a run, see `RunScores.pairs`; None in runs that kept none."""
    return RunScores(run).pairs()


def trial_scores(run: RunFolder, history: TrialHistory) -> TrialScores | None:
    """The scores of a trial's best epoch by the journal; None where there are none."""
    return RunScores(run).trial(history)


def teacher_scores(run: RunFolder) -> TrialScores | None:
    """The teacher's scores; None where there are none."""
    return RunScores(run).teacher(latest(run.read(), "teacher"))


def pairs_file(run: Path) -> Path:
    """Where a run folder keeps its validation list."""
    return run / SCORES_FOLDER / "pairs.parquet"


def teacher_scores_file(run: Path) -> Path:
    """Where a run folder keeps the teacher's scores."""
    return run / SCORES_FOLDER / "teacher.npz"


def _trial_file(run: RunFolder, number: int) -> Path:
    return run.trial(number) / SCORES_FILE
