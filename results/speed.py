"""How fast the trials are beside the teacher, by the latest benchmark of a run."""

from collections.abc import Iterable

from results.analysis.speed import single_utterance_rows, trial_of
from results.journal.history import latest
from results.journal.journal import Record


def speed_ratios(records: Iterable[Record]) -> dict[int, float]:
    """The teacher's latency over the student's, by the trial's number.

    Of one utterance at a time, with as few threads as were measured. Only the latest benchmark
    counts, since an earlier one may be of another machine; a trial that it lacks is left out.
    """
    rows = single_utterance_rows(latest(records, "benchmark"))
    return {
        trial: float(row["speed_ratio"])
        for row in rows
        if (trial := trial_of(row)) is not None and row.get("speed_ratio") is not None
    }
