"""Rows of a `benchmark` record, told apart."""

from collections.abc import Sequence

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
