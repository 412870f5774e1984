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
# On a screen of 80 columns there is no room for them; `complaints` tells of them.
TOLD_BELOW = frozenset({"trials run twice", "stops that do not follow"})
PIPED_WIDTH = 120
MOST_CHARS = 10  # of a number or of its name's words, a line


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
    """For a terminal, of 80 columns too."""
    table = Table(
        title="A search under faults; times: median (longest)", box=box.HORIZONTALS,
        show_lines=True, padding=0, pad_edge=False,
    )  # fmt: skip
    shown = [name not in TOLD_BELOW for name in COLUMNS]
    for name in compress(COLUMNS, shown):
        if name == "fault":
            table.add_column(name)
        else:  # a word a line, so that the names of the faults have the room
            head = name.replace(" ", "\n")
            table.add_column(head, justify="right", max_width=MOST_CHARS)
    for outcome in outcomes:
        table.add_row(*compress(row(outcome), shown))
    return table


def wide_console() -> Console:
    """A terminal as wide as it is; what is piped has room."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, PIPED_WIDTH)
    return console


def complaints(outcome: Outcome, times: int) -> list[str]:
    """What is wrong with an outcome, a sentence each; none where all is well.

    Args:
        outcome: Of one fault.
        times: How often it was to be injected.
    """
    losses = outcome.losses
    found = [
        (len(outcome.injected) < times, f"injected {len(outcome.injected)} of {times} times"),
        (losses.trials_lost, f"{losses.trials_lost} trials lost"),
        (losses.trials_repeated, f"{losses.trials_repeated} trials run twice"),
        (losses.epochs_lost, f"{losses.epochs_lost} epochs lost"),
        (losses.epochs_repeated, f"{losses.epochs_repeated} epochs repeated"),
    ]
    told = [text for is_wrong, text in found if is_wrong]
    return [f"{outcome.fault}: {text}" for text in (*told, *losses.stop_faults)]


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
