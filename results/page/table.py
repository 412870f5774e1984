"""Tables and lists of facts on the page: texts with their styles."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.terminal.cells import MISSING, STATE_LABELS, TEACHER_ROW, cell, headings
from results.terminal.grid import one_line
from results.terminal.listing import NO_EFFECT
from results.terminal.trials import interval_text, repeats_text, trial_text

Facts = tuple[tuple[str, str], ...]
# A number as tables write it, also with its interval, or `-` for a missing one.
_NUMBER = re.compile(r"-|[-+]?[\d,]+(\.\d+)?(e[-+]?\d+)?%?(\s\([^)]*\)| of [\d,]+)?")
# States that are also style classes of the page. Another text never becomes a class.
_STATE_STYLES = frozenset({"complete", "stopped_early", "failed", "diverged", "running"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCell:
    """One cell of a table.

    Attributes:
        text: Text of the cell.
        style: `number`, `text`, `note`, or the state of a trial.
    """

    text: str
    style: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTable:
    """A table on the page.

    Attributes:
        headings: One cell per column.
        rows: Rows with one cell per column.
        trials: For a table of trials, the number of each row's trial, None for the teacher; else
            empty.
        notes: Lines below it, on a page of charts.
    """

    headings: tuple[PageCell, ...]
    rows: tuple[tuple[PageCell, ...], ...]
    trials: tuple[int | None, ...] = ()
    notes: tuple[str, ...] = ()


def results_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> PageTable:
    """Return a table of results, with values in the format of `veer trials`."""
    rows = tuple(rows)
    named = headings(columns)
    numeric = {name for name in columns if _is_numeric(name, [row.get(name) for row in rows])}
    return PageTable(
        headings=tuple(
            PageCell(text=one_line(named[name]), style="number" if name in numeric else "text")
            for name in columns
        ),
        rows=tuple(tuple(_cell(name, row, name in numeric) for name in columns) for row in rows),
        trials=tuple(_trial_of(row) for row in rows),
    )


def plain_table(
    names: Sequence[str], rows: Iterable[Sequence[object]], notes: Iterable[str] = ()
) -> PageTable:
    """Return a table of plain values; numbers, also if given as text, have the style `number`."""
    made = tuple(
        tuple(
            PageCell(text=text, style="number" if _NUMBER.fullmatch(text) else "text")
            for text in map(str, row)
        )
        for row in rows
    )
    styles = [each.style for each in made[0]] if made else ["text"] * len(names)
    return PageTable(
        headings=tuple(
            PageCell(text=name, style=style) for name, style in zip(names, styles, strict=True)
        ),
        rows=made,
        notes=tuple(notes),
    )


def flat_facts(data: Mapping[str, Any], *, leave_out_none: bool = False) -> Facts:
    """Return nested data as pairs of name and text; the parts of a name are joined by spaces."""
    facts: list[tuple[str, str]] = []
    for name, value in data.items():
        if isinstance(value, Mapping):
            inner = flat_facts(value, leave_out_none=leave_out_none)
            facts += [(f"{name} {key}", text) for key, text in inner]
        elif isinstance(value, list | tuple) and any(isinstance(x, Mapping) for x in value):
            numbered = {f"{name} {number}": each for number, each in enumerate(value, start=1)}
            facts += flat_facts(numbered, leave_out_none=leave_out_none)
        elif isinstance(value, list | tuple):
            facts.append((str(name), ", ".join(str(each) for each in value) or MISSING))
        elif value is not None or not leave_out_none:
            facts.append((str(name), MISSING if value is None else str(value)))
    return tuple(facts)


def _trial_of(row: Mapping[str, Any]) -> int | None:
    """Return the number of the trial whose results a row has."""
    numbers = (row.get("same_as"), row.get("trial"))
    return next((number for number in numbers if isinstance(number, int)), None)


def _cell(name: str, row: Mapping[str, Any], is_number: bool) -> PageCell:
    value = row.get(name)
    text = cell(name, value)
    match name:
        # As on the terminal. The page sorts by the first number in the text.
        case "trial" if value is not None:
            return PageCell(text=trial_text(dict(row)), style="number")
        case "veer_pct" if within := interval_text(dict(row)):
            return PageCell(text=f"{text} {within}", style="number")
        case "repeat_mean_pct":
            return PageCell(text=repeats_text(dict(row)), style="number")
        case "state":
            style = text if text in _STATE_STYLES else "text"
            return PageCell(text=STATE_LABELS.get(text, text), style=style)
        case "note":
            style = "note" if value == NO_EFFECT else "text"
            return PageCell(text=text if value else "", style=style)
        case _:
            return PageCell(text=text, style="number" if is_number else "text")


def _is_numeric(name: str, values: Iterable[object]) -> bool:
    return name == "trial" or all(
        isinstance(value, int | float) or value in (None, TEACHER_ROW) for value in values
    )
