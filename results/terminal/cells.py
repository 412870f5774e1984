"""Values, headings and columns of tables as text, and the tables that the terminal prints.

First the text of one value and one heading, then columns and rows, then whole tables.
"""

from collections import Counter
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from rich.console import RenderableType

from results.tables.schema import COLUMNS_BY_NAME, PARAM_PREFIX
from results.terminal.grid import GridColumn, fitted, grid_or_blocks, one_line
from spaces.files.visible import visible

TableRow = dict[str, Any]

MISSING = "-"
TEACHER_ROW = "teacher"
# The most important column where a search tries presets: never left out to fit the screen.
PRESET_COLUMN = f"{PARAM_PREFIX}preset"
# Words of Veer's own parameters that are much wider than their values.
SHORT_WORDS = MappingProxyType(
    {"distillation": "distill", "temperature": "temp", "parameters": "params"}
)
# Longer words of a parameter's name are broken in a heading.
LONGEST_WORD = 16
WRAPPED = frozenset({"note", PRESET_COLUMN})
# Readable on dark and on light backgrounds, which yellow is not.
NOTE_STYLE = "magenta"
STYLES = {"stopped_early": "dim", "failed": "red", "diverged": "red"}
STATE_LABELS = {"stopped_early": "stopped early", "running": "unfinished"}
SHORT_LABELS = {"stopped early": "stopped"}
# Digits of a sampled value where the screen is narrow; the tables in files have all.
SHORT_DIGITS = 3


def cell(name: str, value: object) -> str:
    """Return a value as text.

    Args:
        name: Name of its column, which determines the digits; empty for none.
        value: The value; None becomes `MISSING`.
    """
    match value:
        case None:
            return MISSING
        case bool():
            return "yes" if value else "no"
        case int() | float() if name == "macs":
            return f"{value / 1e6:,.1f}"
        # No separators: to be copied into a config.
        case int() if name == "seed":
            return str(value)
        case int():
            return f"{value:,}"
        case float() if (decimals := _decimals(name)) is not None:
            return f"{value:,.{decimals}f}"
        case float():
            return f"{value:.4g}"
        case list() | tuple():
            return " ".join(cell("", item) for item in value)
        case _:
            return visible(str(value))


def _heading(name: str) -> str:
    return COLUMNS_BY_NAME[name].heading if name in COLUMNS_BY_NAME else ""


def _decimals(name: str) -> int | None:
    return COLUMNS_BY_NAME[name].decimals if name in COLUMNS_BY_NAME else None


def in_words(values: TableRow) -> str:
    """Return columns and their values in one line, such as `alpha 0.5, epochs 9`."""
    return ", ".join(
        f"{visible(name.removeprefix(PARAM_PREFIX))} {cell(name, value)}"
        for name, value in values.items()
    )


def heading(name: str) -> str:
    """Return the heading of a column in one line."""
    return one_line(_heading(name) or name)


def headings(columns: Sequence[str]) -> dict[str, str]:
    """Return the heading of each column; that of a parameter is short where that is unique."""
    counts = Counter(name.rpartition(".")[2] for name in columns)
    shown = {}
    for name in columns:
        last = name.rpartition(".")[2]
        short = last if counts[last] == 1 else name.removeprefix(PARAM_PREFIX)
        words = visible(short).split("_")
        shown[name] = _heading(name) or "\n".join(map(_broken, words))
    return shown


def _broken(word: str) -> str:
    """Return a long word in two halves, since values are mostly shorter than names."""
    word = SHORT_WORDS.get(word, word)
    if len(word) <= LONGEST_WORD or "." in word:
        return word
    half = (len(word) + 1) // 2
    return f"{word[:half]}-\n{word[half:]}"


def _short_heading(text: str) -> str:
    """Return a heading whose long words are broken too, if they are single words."""
    return "\n".join(_broken(line) if line.isalpha() else line for line in text.split("\n"))


def plain_columns(rows: Sequence[TableRow], columns: Sequence[str]) -> list[GridColumn]:
    """Return the columns with their values as `cell` formats them."""
    shown = headings(columns)
    return [
        GridColumn(
            name=name,
            heading=shown[name],
            cells=[_text(name, row.get(name)) for row in rows],
            is_numeric=name == "trial"
            or all(
                isinstance(row.get(name), int | float) or row.get(name) in (None, TEACHER_ROW)
                for row in rows
            ),
            wraps=name in WRAPPED,
            style=NOTE_STYLE if name == "note" else "",
            short_heading=_short_heading(shown[name]),
            short_cells=[_short_text(name, row.get(name)) for row in rows],
        )
        for name in columns
    ]


def _text(name: str, value: object) -> str:
    """Return a value as `cell` does, but states in words, and no sign for no note or front."""
    text = cell(name, value)
    if name in ("note", "on_front"):
        return text if value else ""
    return STATE_LABELS.get(text, text) if name == "state" else text


def _short_text(name: str, value: object) -> str:
    """Return a value as `_text` does, in fewer characters if it is a state or was sampled."""
    if name.startswith(PARAM_PREFIX) and isinstance(value, float):
        digits = f"{value:.{SHORT_DIGITS}g}"
        mantissa, _, exponent = f"{value:.{SHORT_DIGITS - 1}e}".partition("e")
        return min(digits, f"{mantissa}e{int(exponent)}", key=len)
    text = _text(name, value)
    return SHORT_LABELS.get(text, text) if name == "state" else text


def fold_constant(rows: Sequence[TableRow], names: Sequence[str]) -> tuple[list[str], TableRow]:
    """Split columns into the names of those that vary, and the values of the constant ones.

    A single row has no constant columns.
    """
    if len(rows) < 2:
        return list(names), {}
    first = rows[0]
    constant = {
        name: first[name] for name in names if all(row[name] == first[name] for row in rows)
    }
    return [name for name in names if name not in constant], constant


def row_style(row: TableRow) -> str:
    """Return the style of a trial's row: the best, ties with it, stopped and failed trials."""
    if row.get("trial") == TEACHER_ROW:
        return "bold"
    if row.get("rank") == 1:
        return "bold green"
    if row.get("is_tied"):
        return "green"
    if row.get("follow_up"):
        return "dim"
    return STYLES.get(str(row.get("state")), "")


def benchmark_view(
    rows: Sequence[TableRow], columns: Sequence[str], width: int | None = None
) -> RenderableType:
    """Return the table of a benchmark, without the columns that do not fit the width."""
    spare = (
        "num_timed", "num_quiet", "real_time_factor", "samples_per_s", "macs", "teacher_form",
        "load_ms", "speed_ratio_low", "speed_ratio_high", "chunk_real_time_factor",
        "form_cosine", "num_params", "latency_p95_ms",
    )  # fmt: skip
    return grid_or_blocks(fitted(plain_columns(rows, columns), spare, width)[0], width=width)


def rows_view(
    rows: Sequence[TableRow], columns: Sequence[str], width: int | None = None
) -> RenderableType:
    """Return a table of the named columns; nothing is cut off, long texts are wrapped."""
    styles = [row_style(row) for row in rows]
    return grid_or_blocks(plain_columns(rows, columns), styles, width, key="trial")
