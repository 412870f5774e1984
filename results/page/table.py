"""Tables and lists of facts as the page shows them: texts, and how they stand."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.terminal.cells import MISSING, STATE_LABELS, TEACHER_ROW, cell, headings
from results.terminal.listing import NO_EFFECT
from results.terminal.trials import interval_text, repeats_text, trial_text

Facts = tuple[tuple[str, str], ...]
NUMBER = re.compile(r"-|-?[\d,]+(\.\d+)?")
STATES = frozenset({"complete", "stopped_early", "failed", "diverged", "running"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What stands in it.
        style: `number`, `text`, `note`, or a trial's state; empty for none.
    """

    text: str
    style: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A table.

    Attributes:
        headings: A text a column, each with its style.
        rows: As many cells each.
        trials: The trial that each row is of, None for another's; empty in other tables.
    """

    headings: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    trials: tuple[int | None, ...] = ()


def cells_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Cells:
    """A table of the results, its values with the digits that `veer trials` gives them."""
    rows = tuple(rows)
    named = headings(columns)
    numeric = {name for name in columns if _is_numeric(name, [row.get(name) for row in rows])}
    return Cells(
        headings=tuple(
            Cell(text=_one_line(named[name]), style="number" if name in numeric else "text")
            for name in columns
        ),
        rows=tuple(
            tuple(_cell(name, row, name in numeric) for name in columns) for row in rows
        ),
        trials=tuple(_trial_of(row) for row in rows),
    )


def plain_cells(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Cells:
    """A table of values as they are; numbers, written as text too, stand to the right."""
    made = tuple(
        tuple(
            Cell(text=text, style="number" if NUMBER.fullmatch(text) else "text")
            for text in map(str, row)
        )
        for row in rows
    )
    styles = [each.style for each in made[0]] if made else ["text"] * len(names)
    return Cells(
        headings=tuple(
            Cell(text=name, style=style) for name, style in zip(names, styles, strict=True)
        ),
        rows=made,
    )


def facts_of(data: Mapping[str, Any], *, leave_out_none: bool = False) -> Facts:
    """Nested data as pairs of a dotted name and a text, lists in one line."""
    facts: list[tuple[str, str]] = []
    for name, value in data.items():
        if isinstance(value, Mapping):
            inner = facts_of(value, leave_out_none=leave_out_none)
            facts += [(f"{name} {key}", text) for key, text in inner]
        elif isinstance(value, list | tuple) and any(isinstance(x, Mapping) for x in value):
            numbered = {f"{name} {number}": each for number, each in enumerate(value, start=1)}
            facts += facts_of(numbered, leave_out_none=leave_out_none)
        elif isinstance(value, list | tuple):
            facts.append((str(name), ", ".join(str(each) for each in value) or MISSING))
        elif value is not None or not leave_out_none:
            facts.append((str(name), MISSING if value is None else str(value)))
    return tuple(facts)


def _trial_of(row: Mapping[str, Any]) -> int | None:
    """The trial whose figures a row has."""
    numbers = (row.get("same_as"), row.get("trial"))
    return next((number for number in numbers if isinstance(number, int)), None)


def _cell(name: str, row: Mapping[str, Any], is_number: bool) -> Cell:
    value = row.get(name)
    text = cell(name, value)
    match name:
        # As on a terminal; a sort goes by the first number.
        case "trial" if value is not None:
            return Cell(text=trial_text(dict(row)), style="number")
        case "veer_pct" if within := interval_text(dict(row)):
            return Cell(text=f"{text} {within}", style="number")
        case "repeat_mean_pct":
            return Cell(text=repeats_text(dict(row)), style="number")
        case "state":
            style = text if text in STATES else "text"
            return Cell(text=STATE_LABELS.get(text, text), style=style)
        case "note":
            style = "note" if value == NO_EFFECT else "text"
            return Cell(text=text if value else "", style=style)
        case _:
            return Cell(text=text, style="number" if is_number else "text")


def _is_numeric(name: str, values: Iterable[object]) -> bool:
    return name == "trial" or all(
        isinstance(value, int | float) or value in (None, TEACHER_ROW) for value in values
    )


def _one_line(text: str) -> str:
    return text.replace("-\n", "").replace("\n", " ")
