"""A fault of a value from the command line is not reported with a line of the file."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, model_validator

from spaces.files.errors import ConfigError
from spaces.files.overrides import OverriddenDocument
from spaces.files.yaml_file import load_model


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = 0
    b: int = 0

    @model_validator(mode="after")
    def _in_order(self) -> "Inner":
        if self.a > self.b:
            raise ValueError(f"a must be at most b, got {self.a} and {self.b}")
        return self


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner = Inner()
    top: int = 0

    @model_validator(mode="after")
    def _top_is_highest(self) -> "Outer":
        if self.top < self.inner.b:
            raise ValueError(f"top must be at least inner.b, got {self.top}")
        return self


def load(data: dict[str, object], *over: str) -> None:
    document = OverriddenDocument(
        path=Path("f.yaml"),
        data=data,
        lines={(): 1, ("inner",): 2, ("inner", "a"): 3, ("inner", "b"): 4, ("top",): 5},
        overridden=frozenset(tuple(name.split(".")) for name in over),
        source="command line",
    )
    load_model(Outer, document)


@pytest.mark.parametrize(
    ("data", "over", "message"),
    [
        ({"inner": {"a": "x"}}, ["top"], r"^f\.yaml:3: inner\.a: "),
        ({"inner": {"a": "x"}}, ["inner.a"], r"^command line: inner\.a: "),
        ({"inner": {"a": "x"}}, ["inner"], r"^command line: inner\.a: "),
        ({"inner": {"a": "x"}}, ["inner.b"], r"^f\.yaml:3: inner\.a: "),
        ({"inner": {"a": 2}}, ["inner.a"], r"^f\.yaml:2 with inner\.a from the command line: "),
        ({"inner": {"a": 2}}, ["top"], r"^f\.yaml:2: "),
        ({"inner": {"b": 2}}, ["top"], r"^f\.yaml with top from the command line: "),
        ({"inner": {"b": 2}}, [], r"^f\.yaml:1: "),
    ],
)
def test_a_fault_is_reported_where_its_value_is(
    data: dict[str, object], over: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(data, *over)
