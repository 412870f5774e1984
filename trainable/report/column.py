"""The description of a column of tables and charts, as metadata of a model's field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table, as metadata of a model's field.

    Attributes:
        meaning: A sentence for the docs and for the file's metadata.
        unit: Empty for text and for numbers without unit.
        heading: Heading in the terminal, with line breaks; empty for the field's name.
        decimals: Digits after the decimal point; None for four significant digits.
        is_timing: Whether it depends on how busy the machine is, so that two equal runs differ.
        in_train_log: Whether `veer train` writes it to TensorBoard.
        spare: Order in which columns are left out on a narrow screen, from 1; 0 for never.
        after: The column that it follows in tables; empty for the order of the model's fields.
    """

    meaning: str
    unit: str = ""
    heading: str = ""
    decimals: int | None = None
    is_timing: bool = False
    in_train_log: bool = True
    spare: int = 0
    after: str = ""


def described_fields(model: type[BaseModel]) -> dict[str, Column]:
    """Return the columns of a model's fields, by name, in the order of tables."""
    found = {
        name: each
        for name, field in model.model_fields.items()
        for each in field.metadata
        if isinstance(each, Column)
    }
    first = (name for name, column in found.items() if column.after not in found)
    return {name: found[name] for each in first for name in _with_followers(each, found)}


def _with_followers(name: str, columns: Mapping[str, Column]) -> Iterator[str]:
    yield name
    for other, column in columns.items():
        if column.after == name:
            yield from _with_followers(other, columns)


def kind_of(field: FieldInfo) -> type:
    """Return the type of a field's values where they are not None, such as `float` or `tuple`."""
    kind: Any = field.annotation
    # Of an optional type the first part; of a type with metadata the type.
    while get_origin(kind) in (Union, UnionType, Annotated):
        kind = get_args(kind)[0]
    found: type = get_origin(kind) or kind
    return found
