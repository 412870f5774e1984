"""Columns of text put together to a table for the terminal, as many as fit."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

# A column that wraps is given so much before others are left out for it.
LEAST_WRAPPED = 24
EDGES = 2
GAP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GridColumn:
    """One column.

    Attributes:
        name: The table's, for leaving it out.
        heading: Maybe of several lines.
        cells: A text a row.
        is_numeric: Whether it stands to the right.
        wraps: Whether long texts may take several lines.
        style: Of all its cells, over that of the row.
    """

    name: str
    heading: str
    cells: Sequence[str]
    is_numeric: bool = False
    wraps: bool = False
    style: str = ""

    @property
    def width(self) -> int:
        """Characters that it needs."""
        lines = (*self.heading.split("\n"), *self.cells)
        width = max((cell_len(line) for line in lines), default=0)
        return min(width, LEAST_WRAPPED) if self.wraps else width


def grid_width(columns: Sequence[GridColumn]) -> int:
    """Characters of a table of these columns."""
    return EDGES + sum(column.width for column in columns) + GAP * (len(columns) - 1)


def fitted(
    columns: Sequence[GridColumn], spare: Sequence[str], width: int | None
) -> tuple[list[GridColumn], list[str]]:
    """As many columns as fit, and the names of the others.

    Args:
        columns: In their order.
        spare: What may be left out, the first first.
        width: Characters there are; None for as many as it takes.
    """
    kept, left_out = {column.name: column for column in columns}, []
    needed = grid_width(columns)
    for name in spare:
        if width is None or needed <= width:
            break
        if name in kept:
            needed -= kept.pop(name).width + GAP
            left_out.append(name)
    return list(kept.values()), left_out


def grid(
    columns: Sequence[GridColumn], styles: Sequence[str] = (), width: int | None = None
) -> Table:
    """The table; nothing is cut off: where it is too wide all the same, texts are wrapped.

    Args:
        columns: Of as many cells each.
        styles: Of the rows; none have one unless given.
        width: Characters there are, if that is known.
    """
    view = Table(
        box=box.SIMPLE_HEAD, caption_justify="left", pad_edge=False, collapse_padding=True
    )
    fits = width is not None and grid_width(columns) <= width
    for column in columns:
        view.add_column(
            Text(column.heading),
            justify="right" if column.is_numeric else "left",
            overflow="fold",
            vertical="bottom",
            no_wrap=fits and not column.wraps,
        )
    for number, texts in enumerate(zip(*(column.cells for column in columns), strict=True)):
        cells = [
            Text(text, each.style if text else "")
            for text, each in zip(texts, columns, strict=True)
        ]
        view.add_row(*cells, style=styles[number] if styles else "")
    return view
