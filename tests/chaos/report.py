"""The table of `make chaos`."""

from collections.abc import Callable, Sequence
from statistics import median

from rich.table import Table

from tests.chaos.faults import Injection, Outcome

COLUMNS = (
    "fault",
    "times injected",
    "trials lost",
    "trials run twice",
    "epochs lost",
    "epochs repeated",
    "epochs computed again",
    "stops that do not follow",
    "time to notice, s",
    "time to recover, s",
)


def row(outcome: Outcome) -> tuple[str, ...]:
    """An outcome in the order of `COLUMNS`; times as median and, in brackets, the longest."""
    losses = outcome.losses
    return (
        outcome.fault,
        str(len(outcome.injected)),
        str(losses.trials_lost),
        str(losses.trials_repeated),
        str(losses.epochs_lost),
        str(losses.epochs_repeated),
        str(losses.epochs_again),
        str(len(losses.stop_faults)),
        _times(outcome.injected, lambda each: each.notice_s),
        _times(outcome.injected, lambda each: each.recover_s),
    )


def rich_table(outcomes: Sequence[Outcome]) -> Table:
    """For a terminal."""
    table = Table(title="A search under faults")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "fault" else "right")
    for outcome in outcomes:
        table.add_row(*row(outcome))
    return table


def markdown_table(outcomes: Sequence[Outcome]) -> str:
    """For a page."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(row(outcome) for outcome in outcomes)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _times(
    injected: Sequence[Injection], time_of: Callable[[Injection], float | None]
) -> str:
    known = [value for each in injected if (value := time_of(each)) is not None]
    if not known:
        return "-"
    some = "" if len(known) == len(injected) else f", of {len(known)}"
    return f"{median(known):.1f} ({max(known):.1f}{some})"
