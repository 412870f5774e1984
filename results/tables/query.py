"""Selection of rows and columns of a table by short texts such as `veer_pct<15` or `-epochs`."""

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from results.tables.schema import PARAM_PREFIX
from spaces.files.complaints import did_you_mean
from spaces.files.errors import ConfigError

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
# The longer comparisons come first: `<=` must not be read as `<` and a value `=...`.
FILTER = re.compile(r"\s*([^<>=!\s]+)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*")
TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def resolve_column(table: pa.Table, name: str) -> str:
    """Return the full name of a column; the front of a parameter's name may be omitted.

    `alpha`, `loss.alpha` and `param.loss.alpha` name one column as long as no other name ends in
    the same way.

    Raises:
        ConfigError: No column has the name, or several end with it.
    """
    if name in table.column_names:
        return name
    params = [column for column in table.column_names if column.startswith(PARAM_PREFIX)]
    found = [column for column in params if column.endswith(f".{name}")]
    if len(found) > 1:
        raise ConfigError(f"column {name!r} is ambiguous: {', '.join(found)}")
    if not found:
        raise ConfigError(f"unknown column {name!r}{did_you_mean(name, table.column_names)}")
    return str(found[0])


def where(table: pa.Table, condition: str) -> pa.Table:
    """Return the rows that meet a condition.

    Args:
        table: A table.
        condition: Such as `veer_pct<15`, `state=complete` or `best_epoch!=null`. A row without a
            value meets only `=null`.

    Raises:
        ConfigError: The condition does not parse, names no column, or its value has another type.
    """
    match = FILTER.fullmatch(condition)
    if match is None:
        raise ConfigError(
            f"a filter must be COLUMN followed by one of {' '.join(COMPARISONS)} and a value, "
            f"got {condition!r}"
        )
    name, comparison, text = match.groups()
    compare = COMPARISONS[comparison]
    column = table.column(resolve_column(table, name))
    if text.lower() == "null":
        if compare not in (operator.eq, operator.ne):
            raise ConfigError(f"null can only be compared with = and !=, got {condition!r}")
        kept = [compare(value is None, True) for value in column.to_pylist()]
        return table.filter(pa.array(kept, pa.bool_()))  # with a type, which no rows do not imply
    # In Python, not in Arrow, which would cast to float64 to compare with 1.5: Python compares
    # exactly, also seeds above 2**53.
    wanted = _value(column.type, text, condition)
    kept = [value is not None and compare(value, wanted) for value in column.to_pylist()]
    return table.filter(pa.array(kept, pa.bool_()))


def order_by(table: pa.Table, key: str) -> pa.Table:
    """Return the rows sorted by a column, in descending order with a minus before its name.

    Nulls come last; equal rows keep their order.

    Raises:
        ConfigError: No column has the name.
    """
    name = resolve_column(table, key.removeprefix("-"))
    values = table.column(name).to_pylist()
    present = [row for row, value in enumerate(values) if value is not None]
    missing = [row for row, value in enumerate(values) if value is None]
    descending = key.startswith("-")
    # `reverse=True` keeps equal rows in their order, which reversing the result would not.
    present = sorted(present, key=values.__getitem__, reverse=descending)
    return table.take(pa.array([*present, *missing], type=pa.int64()))


def select(
    table: pa.Table,
    *,
    columns: Sequence[str] = (),
    conditions: Sequence[str] = (),
    sort: str | None = None,
) -> pa.Table:
    """Return the rows that meet every condition, sorted, with the columns in the order given.

    Args:
        table: A table.
        columns: Names of columns, see `resolve_column`; all columns where empty.
        conditions: Conditions, see `where`.
        sort: Key, see `order_by`; None to keep the order.

    Raises:
        ConfigError: As `where`, `order_by` and `resolve_column`.
    """
    for condition in conditions:
        table = where(table, condition)
    if sort is not None:
        table = order_by(table, sort)
    if columns:
        table = table.select(list(dict.fromkeys(resolve_column(table, name) for name in columns)))
    return table


def _value(dtype: pa.DataType, text: str, condition: str) -> object:
    """Return the value of a condition in the type of its column."""
    if pa.types.is_boolean(dtype):
        if text.lower() not in TRUTH:
            raise ConfigError(f"the value must be true or false, got {condition!r}")
        return TRUTH[text.lower()]
    if pa.types.is_integer(dtype) or pa.types.is_floating(dtype):
        try:
            return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
        except ValueError as error:
            raise ConfigError(f"the value must be a number, got {condition!r}") from error
    if pa.types.is_timestamp(dtype):
        raise ConfigError(f"times cannot be compared, got {condition!r}")
    return text
