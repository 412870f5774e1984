"""Rows of a `benchmark` record, told apart."""

from collections.abc import Iterable, Sequence

from results.journal.history import latest
from results.journal.journal import Record

TRIAL = "trial "


def single_utterance_rows(benchmark: Record | None) -> Sequence[Record]:
    """The rows of one utterance a call on the fewest threads: how a phone would run it.

    Empty where there is no record, or none of its settings had one utterance a call.
    """
    rows = [row for row in (benchmark or {}).get("rows", ()) if row["batch_size"] == 1]
    fewest = min((row["num_threads"] for row in rows), default=None)
    return [row for row in rows if row["num_threads"] == fewest]


def trial_of(row: Record) -> int | None:
    """The number of the trial that a row measured, None for the teacher and the front end."""
    number = str(row["model"]).removeprefix(TRIAL)
    is_trial = str(row["model"]).startswith(TRIAL) and number.isdecimal() and number.isascii()
    return int(number) if is_trial else None


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
