"""Tables of text columns for the terminal, with as many columns as fit.

Figures are never broken over lines: where even the narrowest form of a table does not fit the
screen, its rows follow each other as blocks of headings and values.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

# Width that a column with wrapped text needs at least, before other columns are left out for it.
LEAST_WRAPPED = 24
# Characters that Rich adds with the box of `grid`: at both edges together, between two columns.
EDGES = 2
GAP = 2
# Share of the screen that labels take beside their values.
LABEL_SHARE = 0.45
# Text is broken after a blank, and in a dotted or compound name; a decimal point holds.
_BREAKS = re.compile(r"(?<= )|(?<=[^\W\d][._/])(?=[^\W\d])")


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
        short_heading: Heading on a narrow screen; empty for the same.
        short_cells: Texts on a narrow screen; None for the same.
    """

    name: str
    heading: str
    cells: Sequence[str]
    is_numeric: bool = False
    wraps: bool = False
    style: str = ""
    short_heading: str = ""
    short_cells: Sequence[str] | None = None

    @property
    def full_width(self) -> int:
        """Characters of the widest line or heading."""
        return max(cell_len(line) for text in self._texts for line in text.split("\n"))

    @property
    def width(self) -> int:
        """Characters of the widest line or heading; at most `LEAST_WRAPPED` if it wraps."""
        return min(self.full_width, LEAST_WRAPPED) if self.wraps else self.full_width

    @property
    def least_width(self) -> int:
        """Characters of the longest word; of the widest text if the column does not wrap."""
        if not self.wraps:
            return self.full_width
        lines = (line for text in self._texts for line in text.split("\n"))
        longest = max(cell_len(piece.rstrip()) for line in lines for piece in _BREAKS.split(line))
        return min(longest, LEAST_WRAPPED)

    @property
    def shortened(self) -> "GridColumn":
        """The column as a narrow screen has it."""
        cells = self.cells if self.short_cells is None else self.short_cells
        return replace(self, heading=self.short_heading or self.heading, cells=cells)

    @property
    def _texts(self) -> tuple[str, ...]:
        return (self.heading, *self.cells)


def text_columns(
    headings: Sequence[str], rows: Sequence[Sequence[str]], texts: Iterable[int] = (0,)
) -> list[GridColumn]:
    """Return the columns of a table of texts.

    Args:
        headings: Its headings.
        rows: Its cells.
        texts: Places of the columns with texts, which are wrapped; the others have numbers.
    """
    words = frozenset(texts)
    return [
        GridColumn(
            name=heading,
            heading=heading,
            cells=[row[place] for row in rows],
            is_numeric=place not in words,
            wraps=place in words,
        )
        for place, heading in enumerate(headings)
    ]


def grid_width(columns: Sequence[GridColumn]) -> int:
    """Return the width of a table of these columns, in characters."""
    return _with_gaps([column.width for column in columns])


def fitted(
    columns: Sequence[GridColumn], spare: Sequence[str], width: int | None
) -> tuple[list[GridColumn], list[str]]:
    """Return as many columns as fit, and the names of those left out.

    Where not all fit, they have their short form first; of those that stay, the most important
    ones get their full form back as far as there is room.

    Args:
        columns: All columns, in their order.
        spare: Names of columns that may be left out, the first one first.
        width: Characters of the screen; None for no limit.
    """
    if width is None or grid_width(columns) <= width:
        return list(columns), []
    full = {column.name: column for column in columns}
    kept, left_out = {name: column.shortened for name, column in full.items()}, []
    for name in spare:
        if grid_width(list(kept.values())) <= width:
            break
        if kept.pop(name, None) is not None:
            left_out.append(name)
    room = width - grid_width(list(kept.values()))
    for name in (*(name for name in kept if name not in spare), *reversed(spare)):
        if name in kept and (more := full[name].width - kept[name].width) <= room:
            kept[name], room = full[name], room - more
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
    has_lines = any("\n" in text for column in columns for text in column.cells)
    view = Table(
        box=box.SIMPLE_HEAD,
        caption_justify="left",
        pad_edge=False,
        collapse_padding=True,
        leading=int(has_lines),
    )
    widths = _widths(columns, width)
    fits = width is None or _with_gaps(widths) <= width
    heads = [wrapped(column.heading, most) for column, most in zip(columns, widths, strict=True)]
    height = max((head.count("\n") for head in heads), default=0)
    for column, head in zip(columns, heads, strict=True):
        view.add_column(
            # At the bottom, while the first lines of cells are in one line.
            Text("\n" * (height - head.count("\n")) + head),
            justify="right" if column.is_numeric else "left",
            overflow="fold",
            no_wrap=fits and width is not None,
        )
    for number, texts in enumerate(zip(*(column.cells for column in columns), strict=True)):
        cells = [
            Text(wrapped(text, most), each.style if text else "")
            for text, most, each in zip(texts, widths, columns, strict=True)
        ]
        view.add_row(*cells, style=styles[number] if styles else "")
    return view


def grid_or_blocks(
    columns: Sequence[GridColumn],
    styles: Sequence[str] = (),
    width: int | None = None,
    title: str = "",
    key: str = "",
) -> RenderableType:
    """Return a table of all columns; on a screen that is too narrow for it, a block for each row.

    Args:
        columns: Columns with the same number of cells.
        styles: Style of each row; empty for none.
        width: Characters of the screen, None for no limit.
        title: Title above it; empty for none.
        key: Name of the column that heads a block; the first one if there is no such column.
    """
    if width is None or _with_gaps([column.least_width for column in columns]) <= width:
        shown: RenderableType = grid(columns, styles, width)
    else:
        shown = _blocks(sorted(columns, key=lambda each: each.name != key), styles, width)
    return Group(Text(title, "bold"), shown) if title else shown


def pairs_view(
    pairs: Mapping[str, str], width: int | None, styles: Mapping[str, str] | None = None
) -> Table:
    """Return labels and their values in two columns.

    Args:
        pairs: Values by label.
        width: Characters of the screen, None for no limit.
        styles: Styles of values by label.
    """
    view = Table.grid(padding=(0, GAP))
    longest = max(map(cell_len, pairs), default=0)
    label = longest if width is None else min(longest, int(LABEL_SHARE * width))
    for name, text in pairs.items():
        value = text if width is None else wrapped(text, max(width - label - 2 * GAP, 1))
        view.add_row(Text(wrapped(name, label)), Text(value, (styles or {}).get(name, "")))
    return view


def one_line(heading: str) -> str:
    """Return a heading of several lines in one."""
    # A hyphen at the end of a line only breaks a word.
    return heading.replace("-\n", "").replace("\n", " ")


def wrapped(text: str, width: int) -> str:
    """Return a text in lines of at most `width` characters; only a longer word is broken."""
    lines: list[str] = []
    for line in text.split("\n"):
        current = ""
        for piece in _BREAKS.split(line):
            if current and cell_len((current + piece).rstrip()) > width:
                lines.append(current.rstrip())
                current = ""
            current += piece
            if cell_len(current.rstrip()) > width > 0:
                *whole, current = chop_cells(current, width)
                lines += whole
        lines.append(current)
    return "\n".join(lines)


def _blocks(columns: Sequence[GridColumn], styles: Sequence[str], width: int) -> RenderableType:
    first, *others = columns
    labels = [one_line(column.heading) for column in others]
    parts: list[RenderableType] = []
    for number, name in enumerate(first.cells):
        title = one_line(f"{first.heading} {name}").strip()
        style = styles[number] if styles else ""
        pairs = {
            f"  {label}": column.cells[number].strip()
            for label, column in zip(labels, others, strict=True)
        }
        parts += [Text(title, style or "bold"), pairs_view(pairs, width)]
    return Group(*parts)


def _with_gaps(widths: Sequence[int]) -> int:
    return EDGES + sum(widths) + GAP * (len(widths) - 1)


def _widths(columns: Sequence[GridColumn], width: int | None) -> list[int]:
    """Return the width of each column; those that wrap share what the others leave."""
    widths = [column.full_width for column in columns]
    if width is None or _with_gaps(widths) <= width:
        return widths
    # The narrowest first: what it does not need is left for the others.
    wrapping = sorted(
        (place for place, column in enumerate(columns) if column.wraps), key=widths.__getitem__
    )
    least = {place: columns[place].least_width for place in wrapping}
    room = width - _with_gaps([0 if each.wraps else size for each, size in zip(
        columns, widths, strict=True)]) - sum(least.values())  # fmt: skip
    for done, place in enumerate(wrapping):
        share = max(room, 0) // (len(wrapping) - done)
        more = min(share, widths[place] - least[place])
        widths[place] = least[place] + more
        room -= more
    return widths
