"""The speed of trials: the rows of a `benchmark` record that matter, and ratios to the teacher."""

from collections.abc import Sequence

from results.records.benchmark_row import BenchmarkRow
from results.records.search_records import ModelsBenchmarked

# The start of the `model` of a trial's row; the number follows.
TRIAL = "trial "


def single_utterance_rows(benchmark: ModelsBenchmarked | None) -> Sequence[BenchmarkRow]:
    """Return the rows with one utterance a call on the fewest threads, as a phone would run it.

    Empty without a record, or where no setting of it had one utterance a call.
    """
    rows = [] if benchmark is None else [row for row in benchmark.rows if row.batch_size == 1]
    fewest = min((row.num_threads for row in rows), default=None)
    return [row for row in rows if row.num_threads == fewest]


def trial_of(row: BenchmarkRow) -> int | None:
    """Return the number of the trial that a row is of, None for the teacher and the front end."""
    number = row.model.removeprefix(TRIAL)
    # isascii: isdecimal by itself also accepts digits of other scripts.
    is_trial = row.model.startswith(TRIAL) and number.isdecimal() and number.isascii()
    return int(number) if is_trial else None


def speed_ratios(benchmark: ModelsBenchmarked | None) -> dict[int, float]:
    """Return the teacher's latency divided by the student's, by the number of the trial.

    For one utterance at a time, on the fewest threads measured.

    Args:
        benchmark: The latest `benchmark` record, since an earlier one may be from another machine;
            trials that it lacks are left out.
    """
    rows = single_utterance_rows(benchmark)
    return {
        trial: row.speed_ratio
        for row in rows
        if (trial := trial_of(row)) is not None and row.speed_ratio is not None
    }
