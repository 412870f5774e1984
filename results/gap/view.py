"""The gap between a search and full trainings, in a table and in words."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from results.gap.gap import Gap, GapRow, MeasuredVEER
from results.terminal.cells import MISSING, NOTE_STYLE, cell
from results.terminal.grid import GridColumn, grid_or_blocks
from spaces.files.visible import visible

# By chance at most once in 20 times: the usual level of 5 %.
ORDERS_FOR_TRUST = 20
TOO_FEW = (
    "full trainings of one trial do not show whether the search orders its trials as full "
    "trainings do: train other finalists too"
)


def gap_view(gap: Gap, width: int | None = None) -> RenderableType:
    """Return the table and the verdict, for printing with rich.

    Args:
        gap: The gap.
        width: Width of the screen in characters.
    """
    notes = [Text(each, NOTE_STYLE) for each in warnings_of(gap)]
    lines = [*differences_of(gap), gap_in_words(gap)]
    return Group(*notes, _table(gap, width), *map(Text, lines))


def warnings_of(gap: Gap) -> Iterator[str]:
    """Yield reasons why the numbers cannot be compared."""
    if gap.is_list_same is False:
        yield "the validation lists differ, so the VEERs cannot be compared"
    elif gap.is_list_same is None:
        yield "the journal does not name the search's validation list: it may be another one"


def gap_in_words(gap: Gap) -> str:
    """Return whether the search's setting can be trusted to choose, in words."""
    if not gap.num_pairs:
        return TOO_FEW
    pairs = f"{gap.num_pairs} pair{'s' if gap.num_pairs > 1 else ''} of full trainings"
    if not gap.num_swapped:
        found = f"{pairs} in its order, as they would be by chance once in {gap.num_orders} times"
        if gap.num_orders < ORDERS_FOR_TRUST:
            return f"the search's setting is not contradicted: {found}; train other finalists too"
        return f"the search's setting can be trusted to choose among these: {found}"
    swapped = f"{gap.num_swapped} of {pairs} in another order than in the search"
    if not gap.num_clear:
        return (
            f"the search's setting is not contradicted: {swapped}, none of them by more than the "
            "95 % intervals; other seeds or a longer validation list would tell them apart"
        )
    return (
        f"the search's setting cannot be trusted to choose: {swapped}, {gap.num_clear} by more "
        "than the 95 % intervals; raise max_epochs or width_scale, or take a longer validation "
        "list"
    )


def differences_of(gap: Gap) -> Iterator[str]:
    """Yield a line for each full training with other settings than its trial."""
    return filter(None, map(_differences, gap.rows))


def texts_of(gap: Gap) -> dict[str, list[str]]:
    """Return the cells of each column by its heading."""
    return {
        "full training": [visible(row.name) for row in gap.rows],
        "trial": [str(row.trial) for row in gap.rows],
        "rank in\nsearch": [str(row.search_rank) for row in gap.rows],
        "promised\nVEER %": [_measured(row.promised) for row in gap.rows],
        "in full, at\nthat epoch": [_same_epoch(row) for row in gap.rows],
        "in full, best\nVEER %": [_measured(row.full) for row in gap.rows],
        "rank\nin full": [str(row.full_rank) for row in gap.rows],
    }


def _table(gap: Gap, width: int | None) -> RenderableType:
    columns = [
        GridColumn(name=heading, heading=heading, cells=cells, wraps=heading == "full training")
        for heading, cells in texts_of(gap).items()
    ]
    return grid_or_blocks(columns, width=width)


def _same_epoch(row: GapRow) -> str:
    return MISSING if row.same_epoch is None else _with_interval(row.same_epoch)


def _measured(found: MeasuredVEER) -> str:
    return f"{_with_interval(found)}, epoch {found.epoch}"


def _with_interval(found: MeasuredVEER) -> str:
    interval = ""
    if found.low_pct is not None and found.high_pct is not None:
        interval = f" ({found.low_pct:.1f}-{found.high_pct:.1f})"
    return f"{cell('veer_pct', found.veer_pct)}{interval}"


def _differences(row: GapRow) -> str:
    """Return a line on what was trained otherwise in full; empty if nothing was."""
    if not row.differences:
        return ""
    changes = (
        f"{name} {MISSING if in_search is None else in_search} in the search, "
        f"{MISSING if in_full is None else in_full} in full"
        for name, in_search, in_full in row.differences
    )
    return visible(f"{row.name}: {'; '.join(changes)}")
