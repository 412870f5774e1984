"""The table of `make chaos`."""

from collections.abc import Callable, Sequence
from itertools import compress
from statistics import median

from rich import box
from rich.console import Console
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
# A terminal of 80 columns has no room for these; `complaints` lists them below the table.
HIDDEN_COLUMNS = frozenset({"trials run twice", "stops that do not follow"})
PIPED_WIDTH = 120
MAX_CELL_CHARS = 10  # a number, or one word of a column's name


def row(outcome: Outcome) -> tuple[str, ...]:
    """Return the cells of an outcome in the order of `COLUMNS`; times as `median (longest)`."""
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
    """Return a table that fits a terminal of 80 columns."""
    table = Table(
        title="A search under faults; times: median (longest)", box=box.HORIZONTALS,
        show_lines=True, padding=0, pad_edge=False,
    )  # fmt: skip
    shown = [name not in HIDDEN_COLUMNS for name in COLUMNS]
    for name in compress(COLUMNS, shown):
        if name == "fault":
            table.add_column(name)
        else:  # one word per line, which leaves room for the names of the faults
            head = name.replace(" ", "\n")
            table.add_column(head, justify="right", max_width=MAX_CELL_CHARS)
    for outcome in outcomes:
        table.add_row(*compress(row(outcome), shown))
    return table


def wide_console() -> Console:
    """Return a console as wide as the terminal, or a wide one for a pipe."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, PIPED_WIDTH)
    return console


def complaints(outcome: Outcome, times: int) -> list[str]:
    """Return what is wrong with an outcome, a sentence each; none where all is well.

    Args:
        outcome: The outcome of one fault.
        times: Planned number of injections.
    """
    losses = outcome.losses
    found = [
        (len(outcome.injected) < times, f"injected {len(outcome.injected)} of {times} times"),
        (losses.trials_lost, f"{losses.trials_lost} trials lost"),
        (losses.trials_repeated, f"{losses.trials_repeated} trials run twice"),
        (losses.epochs_lost, f"{losses.epochs_lost} epochs lost"),
        (losses.epochs_repeated, f"{losses.epochs_repeated} epochs repeated"),
    ]
    texts = [text for is_wrong, text in found if is_wrong]
    return [f"{outcome.fault}: {text}" for text in (*texts, *losses.stop_faults)]


def markdown_table(outcomes: Sequence[Outcome]) -> str:
    """Return the table in Markdown."""
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
