import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spaces.files.errors import ConfigError
from spaces.files.yaml_file import load_mapping, load_model, read_yaml, write_yaml


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mixer(Part):
    family: Literal["mlp_mixer"] = "mlp_mixer"
    hidden_dim: int = Field(default=192, gt=0)
    groups: int = 4

    @model_validator(mode="after")
    def check_groups(self) -> "Mixer":
        if self.hidden_dim % self.groups:
            raise ValueError(f"hidden_dim % groups == 0 must hold, got {self.hidden_dim}")
        return self


class Lstm(Part):
    family: Literal["lstm"] = "lstm"
    num_layers: int = 3


class Loss(Part):
    distillation: Literal["none", "mse", "cosine"] = "cosine"
    alpha: float = Field(default=0.7, ge=0, le=1)


class Config(Part):
    model: Annotated[Mixer | Lstm, Field(discriminator="family")]
    loss: Loss = Loss()
    lr: float = 1e-3
    steps: list[int] = []
    seed: int


def read(tmp_path: Path, text: str) -> Any:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    return read_yaml(tmp_path / "a.yaml")


def complaint(tmp_path: Path, text: str) -> list[str]:
    document = read(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape("a.yaml:")) as caught:
        load_model(Config, document)
    return [line.replace(str(tmp_path), "") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E+3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("-7", -7),
        ("no", "no"),
        ("on", "on"),
        ("none", "none"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-01-31", "2026-01-31"),
        ("'1e-3'", "1e-3"),
        ("true", True),
        ("~", None),
        ("", None),
    ],
)
def test_scalars_follow_yaml_1_2(tmp_path: Path, text: str, value: object) -> None:
    data = read(tmp_path, f"a: {text}\n").data
    assert data == {"a": value}
    assert type(data["a"]) is type(value)


def test_nan_is_a_number(tmp_path: Path) -> None:
    assert math.isnan(read(tmp_path, "a: .nan").data["a"])


def test_lines_are_known_for_keys_items_and_missing_children(tmp_path: Path) -> None:
    text = "# head\nmodel:\n  sizes:\n    - 1\n    - 2\nlr: {low: 1,\n  high: 2}\n"
    document = read(tmp_path, text)
    assert document.line_of(()) == 2
    assert document.line_of(("model", "sizes")) == 3
    assert document.line_of(("model", "sizes", 1)) == 5
    assert document.line_of(("model", "other", "deep")) == 2
    assert document.line_of(("lr", "high")) == 7
    assert document.location_of(("lr",)) == f"{tmp_path}/a.yaml:6"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.yaml: the file is empty"),
        ("# only a comment\n", "a.yaml: the file is empty"),
        ("- 1\n- 2\n", "a.yaml:1: must be a mapping"),
        ("a: 1\nb: [1, 2\nc: 3\n", "a.yaml:3: not valid YAML: "),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "a.yaml:4: a.b is given twice, first in line 2"),
        ("a: 1\n2: 3\n", "a.yaml:2: a key must be a word, got '2'"),
        ("a: 1\n? [b]\n: 3\n", "a.yaml:2: a key must be a word"),
        ("a: !!python/name:os.system\n", "a.yaml:1: cannot read '' as "),
        ("a: !!int two\n", "a.yaml:1: cannot read 'two' as "),
        ("a: 1\nb: &x\n  c: *x\n", "a.yaml:2: b.c contains itself"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2: not valid YAML: "),
        ("a: *gone\n", "a.yaml:1: not valid YAML: found undefined alias"),
        ("a: \x07\n", "a.yaml: not valid YAML: "),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        read(tmp_path, text)


def test_a_missing_file_and_a_file_that_is_not_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read: No such file"):
        read_yaml(tmp_path / "gone.yaml")
    (tmp_path / "b.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigError, match=r"b\.yaml: cannot be read: .*utf-8"):
        read_yaml(tmp_path / "b.yaml")


def test_a_valid_file_becomes_the_model(tmp_path: Path) -> None:
    text = "seed: 3\nlr: 1e-3\nmodel: {family: mlp_mixer, hidden_dim: 64}\n"
    expected = Config(seed=3, lr=0.001, model=Mixer(hidden_dim=64))
    assert load_model(Config, read(tmp_path, text)) == expected


def test_all_complaints_are_listed_with_line_rule_and_value(tmp_path: Path) -> None:
    text = (
        "model:\n  family: mlp_mixer\n  hiden_dim: 64\n"
        "loss:\n  alpha: 1.5\n  distillation: msee\n"
    )
    assert complaint(tmp_path, text) == [
        "/a.yaml:3: model.hiden_dim: unknown key; did you mean 'hidden_dim'?",
        "/a.yaml:6: loss.distillation: must be 'none', 'mse' or 'cosine', got 'msee'; "
        "did you mean 'mse'?",
        "/a.yaml:5: loss.alpha: must be less than or equal to 1, got 1.5",
        "/a.yaml:1: seed: required, but not given",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "seed: 1\nmodel:\n  family: mlp_mixr\n",
            "3: model.family: must be one of 'mlp_mixer', 'lstm', got 'mlp_mixr'; "
            "did you mean 'mlp_mixer'?",
        ),
        ("seed: 1\nmodel:\n  hidden_dim: 3\n", "2: model.family: required, but not given"),
        (
            "seed: 1\nmodel:\n  family: lstm\n  hidden_dim: 3\n",
            "4: model.hidden_dim: unknown key; valid: family, num_layers",
        ),
        (
            "seed: 1\nmodel:\n  family: mlp_mixer\n  hidden_dim: 65\n",
            "2: model: hidden_dim % groups == 0 must hold, got 65",
        ),
        (
            "seed: 1\nmodel: {family: lstm}\nsteps:\n- 1\n- x\n",
            "5: steps[1]: must be a valid integer, unable to parse string as an integer, got 'x'",
        ),
        ("seed: 1\nmodel: {family: lstm}\nlos: {}\n", "3: los: unknown key; did you mean 'loss'?"),
    ],
)
def test_the_complaint_stands_where_the_mistake_is(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert complaint(tmp_path, text) == [f"/a.yaml:{expected}"]


def test_a_mapping_without_a_file_is_refused_under_its_source() -> None:
    with pytest.raises(ConfigError, match=r"^command line: loss.alpha: must be .* got -1$"):
        load_mapping(
            Config, {"seed": 1, "model": {"family": "lstm"}, "loss": {"alpha": -1}}, "command line"
        )


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
    | st.sampled_from(["1e-3", "no", "true", "0o7", "1:30", "=", "<<", "~", "2026-01-31", ".5"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc<-~1e.", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text("abcxyz_", min_size=1), plain))
def test_what_is_written_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    write_yaml(path, data)
    if data:
        back = read_yaml(path).data
        assert back == data
        assert repr(back) == repr(data)


def test_paths_and_tuples_are_written_as_text_and_lists(tmp_path: Path) -> None:
    write_yaml(tmp_path / "a.yaml", {"dir": Path("x/y"), "sizes": (1, 2)})
    assert (tmp_path / "a.yaml").read_text() == "dir: x/y\nsizes: [1, 2]\n"


@pytest.mark.parametrize("text", ['a: "x\\0y"', '"x\\0y": 1', 'a: ["\\ud800"]'])
def test_text_that_no_file_could_be_called_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"a\.yaml:1: text must hold neither NUL nor half a "):
        read(tmp_path, text)
