"""Ranges on keys that only a user's own class knows."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Tag

from spaces.dimensions import Choice, Float, Integer
from spaces.files.errors import ConfigError
from spaces.reading.space_file import read_space
from spaces.space import Space


def _is_own(family: str) -> str:
    if ":" not in family:
        raise ValueError(f"must have a colon, got {family!r}")
    return family


class Mixer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    family: Literal["mixer"] = "mixer"
    hidden_dim: int = 64


class Own(BaseModel):
    model_config = ConfigDict(extra="allow")
    family: Annotated[str, AfterValidator(_is_own)]
    num_frames: int | None = None


def _kind(value: dict[str, object]) -> str:
    return "own" if ":" in str(value["family"]) else "bundled"


class Config(BaseModel):
    model: Annotated[
        Annotated[Mixer, Tag("bundled")] | Annotated[Own, Tag("own")], Discriminator(_kind)
    ]
    seed: int = 0


Read = Callable[[str], Space]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a space with these lines below `model:`."""

    def read_lines(*lines: str) -> Space:
        text = "".join(f"  {line}\n" for line in lines)
        (tmp_path / "a.yaml").write_text(f"seed: {{low: 0, high: 9}}\nmodel:\n{text}")
        return read_space(tmp_path / "a.yaml", Config)

    return read_lines


OWN = "family: my.mod:Net"


@pytest.mark.parametrize(
    ("line", "dimension"),
    [
        ("width: {choices: [32, 64]}", Choice(name="model.width", choices=(32, 64))),
        ("kind: {choices: [a, null]}", Choice(name="model.kind", choices=("a", None))),
        ("depth: {low: 1, high: 8}", Integer(name="model.depth", low=1, high=8)),
        ("depth: {low: 2, high: 8, step: 2}", Integer(name="model.depth", low=2, high=8, step=2)),
        ("drop: {low: 0.0, high: 1}", Float(name="model.drop", low=0, high=1)),
        ("drop: {low: 0, high: 1, step: 0.5}", Float(name="model.drop", low=0, high=1, step=0.5)),
        (
            "rate: {low: 1e-3, high: 1, log: true}",
            Float(name="model.rate", low=1e-3, high=1, log=True),
        ),
        ("num_frames: {low: 8, high: 9}", Integer(name="model.num_frames", low=8, high=9)),
    ],
)
def test_a_range_on_an_own_key_is_whole_where_its_numbers_are(
    read: Read, line: str, dimension: Integer
) -> None:
    space = read(OWN, line)
    assert space.dimensions[1] == dimension
    assert type(space.dimensions[1]) is type(dimension)
    assert space.fixed == {"model": {"family": "my.mod:Net"}}


def test_own_values_are_fixed_as_they_stand(read: Read) -> None:
    space = read(OWN, "kernels: [3, 5]", "sizes: {a: 1, b: {c: x}}", "name: conv")
    own = {"kernels": [3, 5], "sizes": {"a": 1, "b": {"c": "x"}}, "name": "conv"}
    assert space.tree({"seed": 1}) == {"seed": 1, "model": {"family": "my.mod:Net", **own}}


def test_own_keys_may_depend_on_the_family(read: Read) -> None:
    space = read(
        'family: {choices: [mixer, "my.mod:Net"]}',
        'width: {low: 1, high: 3, when: {model.family: "my.mod:Net"}}',
        "hidden_dim: {low: 8, high: 9, when: {model.family: mixer}}",
    )
    last = space.sample(lambda dimension: dimension.extremes()[-1])
    assert last == {"seed": 9, "model.family": "my.mod:Net", "model.width": 3}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([OWN, "depth: {low: 1, hihg: 3}"], r"4: model.depth.hihg: unknown key; did you mean 'hi"),
        ([OWN, "depth: {low: 3, high: 1}"], r"4: model.depth: low <= high must hold, got low=3"),
        ([OWN, "num_frames: {low: x, high: 1}"], r"4: model.num_frames.low: must be a valid int"),
        (["family: mixer", "width: 3"], r"4: model.width: unknown key; valid: family, hidden_dim"),
        (["family: mixer", "num_frames: 3"], r"4: model.num_frames: unknown key; valid: family"),
        (["family: {choices: [mixer]}", "width: 3"], r"4: model.width: unknown key; valid: fam"),
    ],
)
def test_mistakes_are_still_named(read: Read, lines: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(*lines)


def test_own_key_has_an_effect_only_under_the_own_family(read: Read) -> None:
    space = read('family: {choices: [mixer, "my.mod:Net"]}', "width: {low: 1, high: 3}")
    drawn = [space.sample(lambda each, n=n: each.extremes()[n]) for n in (0, 1)]
    for params in drawn:
        del params["seed"]
    assert drawn == [
        {"model.family": "mixer"},
        {"model.family": "my.mod:Net", "model.width": 3},
    ]
