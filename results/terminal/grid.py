"""Tables of text columns for the terminal, with as many columns as fit."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

# Width that a column with wrapped text needs at least, before other columns are left out for it.
LEAST_WRAPPED = 24
# Characters that Rich adds with the box of `grid`: at both edges together, between two columns.
EDGES = 2
GAP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GridColumn:
    """One column of text.

    Attributes:
        name: Name of the column in the trials table.
        heading: Heading, of one or several lines.
        cells: One text for each row.
        is_numeric: Whether the column is aligned to the right.
        wraps: Whether long texts may take several lines.
        style: Style of the cells, which overrides that of the row.
    """

    name: str
    heading: str
    cells: Sequence[str]
    is_numeric: bool = False
    wraps: bool = False
    style: str = ""

    @property
    def width(self) -> int:
        """Characters of the widest line or heading; at most `LEAST_WRAPPED` if it wraps."""
        lines = (*self.heading.split("\n"), *self.cells)
        width = max((cell_len(line) for line in lines), default=0)
        return min(width, LEAST_WRAPPED) if self.wraps else width


def grid_width(columns: Sequence[GridColumn]) -> int:
    """Return the width of a table of these columns, in characters."""
    return EDGES + sum(column.width for column in columns) + GAP * (len(columns) - 1)


def fitted(
    columns: Sequence[GridColumn], spare: Sequence[str], width: int | None
) -> tuple[list[GridColumn], list[str]]:
    """Return as many columns as fit, and the names of those left out.

    Args:
        columns: All columns, in their order.
        spare: Names of columns that may be left out, the first one first.
        width: Characters of the screen; None for no limit.
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
    """Return a table; nothing is cut off: if it is too wide, texts are wrapped.

    Args:
        columns: Columns with the same number of cells.
        styles: Style of each row; empty for none.
        width: Characters of the screen, None if not known.
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
