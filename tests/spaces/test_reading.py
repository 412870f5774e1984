import random
import re
from pathlib import Path
from typing import Annotated, Literal, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spaces.dimensions import Choice, Float, Integer
from spaces.errors import ConfigError
from spaces.reading import bundled_spaces, read_space
from spaces.space import Space
from spaces.yaml_file import load_mapping


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mixer(Part):
    family: Literal["mixer"] = "mixer"
    hidden_dim: int = Field(192, ge=8)
    num_blocks: int = Field(6, ge=1, le=64)
    groups: int = 4
    grouped: bool = False

    @model_validator(mode="after")
    def _groups_divide(self) -> Self:
        if self.hidden_dim % self.groups:
            raise ValueError(
                f"hidden_dim % groups == 0 must hold, got {self.hidden_dim} and {self.groups}"
            )
        return self


class Lstm(Part):
    family: Literal["lstm"] = "lstm"
    num_layers: int = 3


class Loss(Part):
    distillation: Literal["none", "mse", "cosine"] = "cosine"
    alpha: float = Field(0.7, ge=0, le=1)
    temperature: float = Field(4.0, gt=0)
    limit: float | None = None


class Config(Part):
    model: Annotated[Mixer | Lstm, Field(discriminator="family")] = Mixer()
    loss: Loss = Loss()
    lr: float = 1e-3
    weights: dict[str, float] = {}
    seed: int = 0


def read(tmp_path: Path, text: str) -> Space:
    (tmp_path / "a.yaml").write_text(text)
    return read_space(tmp_path / "a.yaml", Config)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}/a.yaml:")) as caught:
        read(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/a.yaml:") for line in str(caught.value).splitlines()]


def test_ranges_become_dimensions_and_the_rest_stays_fixed(tmp_path: Path) -> None:
    text = """
model:
  family: mixer
  hidden_dim: {choices: [64, 96]}
  num_blocks: {low: 2, high: 8, step: 2}
  grouped: {choices: [true, false]}
loss:
  temperature: {low: 1, high: 8, log: true, when: {loss.distillation: mse}}
  distillation: {choices: [none, mse]}
  limit: {low: 0, high: 1}
lr: 1e-3
weights: {low: 1, b: 2}
"""
    space = read(tmp_path, text)
    assert space.name == "a"
    assert space.fixed == {
        "model": {"family": "mixer"},
        "lr": 0.001,
        "weights": {"low": 1, "b": 2},
    }
    when = {"loss.distillation": "mse"}
    assert space.dimensions == (
        Choice(name="model.hidden_dim", choices=(64, 96)),
        Integer(name="model.num_blocks", low=2, high=8, step=2),
        Choice(name="model.grouped", choices=(True, False)),
        Choice(name="loss.distillation", choices=("none", "mse")),
        Float(name="loss.temperature", low=1, high=8, log=True, when=when),  # type: ignore[arg-type]
        Float(name="loss.limit", low=0, high=1),
    )
    assert isinstance(space.dimensions[4].extremes()[0], float)


def test_the_family_may_be_a_choice_on_which_the_rest_depends(tmp_path: Path) -> None:
    text = """
model:
  family: {choices: [mixer, lstm]}
  num_blocks: {low: 1, high: 8, when: {model.family: mixer}}
  num_layers: {low: 1, high: 3, when: {model.family: lstm}}
"""
    space = read(tmp_path, text)
    params = space.sample(lambda dimension: dimension.extremes()[-1])
    assert params == {"model.family": "lstm", "model.num_layers": 3}
    unconditional = text.replace(", when: {model.family: lstm}", "")
    assert mistakes(tmp_path, unconditional)[0] == (
        "5: model.num_layers.low: is a key under other choices only: say which ones by a "
        "condition (when)"
    )


SPACE = "lr: {low: 1e-4, high: 1e-2}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("los:\n  alpha: 1\n", ["2: los: unknown key; did you mean 'loss'?"]),
        (
            "model:\n  family: mixer\n  hiden_dim: {choices: [8]}\n",
            ["4: model.hiden_dim: unknown key; did you mean 'hidden_dim'?"],
        ),
        (
            "model:\n  family: lstm\n  num_blocks: {low: 1, high: 2}\n",
            ["4: model.num_blocks: unknown key; did you mean 'num_layers'?"],
        ),
        (
            "model:\n  family: mixr\n",
            [
                "3: model.family: must be one of 'mixer', 'lstm', got 'mixr'; "
                "did you mean 'mixer'?"
            ],
        ),
        (
            "seed: {low: 1, hihg: 2}\n",
            [
                "2: seed.hihg: unknown key; did you mean 'high'?",
                "2: seed.high: required, but not given",
            ],
        ),
        (
            "seed: {chioces: [1, 2]}\n",
            [
                "2: seed.chioces: unknown key; valid: when, low, high, step, log",
                "2: seed.low: required, but not given",
                "2: seed.high: required, but not given",
            ],
        ),
        ("seed:\n  low: 8\n  high: 2\n", ["2: seed: low <= high must hold, got low=8, high=2"]),
        (
            "loss:\n  alpha: {low: 0, high: 1, log: true}\n",
            ["3: loss.alpha: a log range must lie above 0, got low=0.0"],
        ),
        ("seed:\n  low: 1.5\n  high: 2\n", ["3: seed.low: must be a valid integer, got 1.5"]),
        (
            "loss:\n  alpha:\n    low: small\n    high: 1\n",
            ["4: loss.alpha.low: must be a valid number, got 'small'"],
        ),
        (
            "loss:\n  distillation: {low: 0, high: 1}\n",
            ["3: loss.distillation: takes no number: give its values as choices: [...]"],
        ),
        (
            "seed:\n  choices: []\n",
            ["3: seed.choices: must have at least 1 item, got []"],
        ),
        (
            "seed:\n  choices:\n  - 1\n  - [2]\n",
            ["5: seed.choices[1]: must be one number, word or truth value, got [2]"],
        ),
        ("seed:\n  choices: [1, 1]\n", ["3: seed.choices: choices must differ, got 1 twice"]),
        ("loss:\n  alpha: 7\n", ["3: loss.alpha: must be less than or equal to 1, got 7"]),
    ],
)
def test_a_mistake_is_named_with_line_rule_and_nearest_name(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert mistakes(tmp_path, SPACE + text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The first choice, the last one, each bound, and bounds that the field excludes.
        (
            "loss:\n  distillation:\n    choices:\n    - msee\n    - mse\n",
            ["4: loss.distillation.choices[0]: must be 'none', 'mse' or 'cosine', got 'msee'; "
             "did you mean 'mse'?"],
        ),
        (
            "seed:\n  choices:\n    - 1\n    - x\n",
            ["4: seed.choices[1]: must be a valid integer, unable to parse string as an integer, "
             "got 'x'"],
        ),
        (
            "loss:\n  alpha:\n    low: -0.1\n    high: 1.1\n",
            [
                "3: loss.alpha.low: must be greater than or equal to 0, got -0.1",
                "4: loss.alpha.high: must be less than or equal to 1, got 1.1",
            ],
        ),
        (
            "loss:\n  temperature:\n    low: 0\n    high: 1\n",
            ["3: loss.temperature.low: must be greater than 0, got 0.0"],
        ),
        # A rule of the whole model, broken by a later and by the first value.
        (
            "model:\n  family: mixer\n  hidden_dim:\n    choices:\n    - 64\n    - 65\n",
            ["6: model.hidden_dim.choices[1]: with 65, model: hidden_dim % groups == 0 must "
             "hold, got 65 and 4"],
        ),
        (
            "lr: {low: 1, high: 2}\nmodel:\n  family: mixer\n  hidden_dim:\n    choices:\n"
            "    - 65\n    - 64\n  num_blocks: {low: 1, high: 2}\n",
            ["6: model.hidden_dim.choices[0]: with 65, model: hidden_dim % groups == 0 must "
             "hold, got 65 and 4"],
        ),
        # As before, beside a dimension whose own mistake hides the rule.
        (
            "model:\n  family: mixer\n  num_blocks:\n    low: 1\n    high: 99\n"
            "  groups:\n    choices: [5, 4]\n",
            [
                "8: model.groups.choices[0]: with 5, model: hidden_dim % groups == 0 must "
                "hold, got 192 and 5",
                "6: model.num_blocks.high: must be less than or equal to 64, got 99",
            ],
        ),
        # Reached only under a condition that the first values do not meet.
        (
            "loss:\n  distillation: {choices: [none, mse]}\n"
            "  alpha:\n    low: 0.5\n    high: 3\n    when: {loss.distillation: mse}\n",
            ["5: loss.alpha.high: must be less than or equal to 1, got 3.0"],
        ),
        # Two mistakes at once, one of them in a fixed value.
        (
            "loss:\n  alpha: 2\n  temperature: {low: -1, high: 1}\n",
            [
                "2: loss.alpha: must be less than or equal to 1, got 2",
                "3: loss.temperature.low: must be greater than 0, got -1.0",
            ],
        ),
    ],
)
def test_a_value_that_the_config_refuses_is_found_before_any_trial(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert mistakes(tmp_path, text) == expected


KINDS = "loss:\n  distillation: {choices: [none, mse, cosine]}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            KINDS + "  alpha: {low: 0, high: 1, when: {loss.distilation: mse}}\n",
            "3: loss.alpha.when.loss.distilation: is not a parameter of this space; "
            "did you mean 'loss.distillation'?",
        ),
        (
            KINDS + "  alpha: {low: 0, high: 1, when: {distillation: mse}}\n",
            "3: loss.alpha.when.distillation: is not a parameter of this space; "
            "did you mean 'loss.distillation'?",
        ),
        (
            KINDS + "  alpha:\n    low: 0\n    high: 1\n"
            "    when: {loss.distillation: [mse, cosin]}\n",
            "6: loss.alpha.when.loss.distillation: can never be 'cosin'; did you mean 'cosine'?",
        ),
        (
            "model: {family: mixer}\nloss:\n"
            "  alpha: {low: 0, high: 1, when: {model.family: lstm}}\n",
            "3: loss.alpha.when.model.family: can never hold: model.family is fixed at 'mixer'",
        ),
        (
            "seed: {low: 1, high: 9, step: 4}\n"
            "loss:\n  alpha: {low: 0, high: 1, when: {seed: 4}}\n",
            "3: loss.alpha.when.seed: can never be 4",
        ),
        # alpha waits for mse, temperature for alpha and for none.
        (
            KINDS + "  alpha: {choices: [0.5], when: {loss.distillation: mse}}\n"
            "  temperature:\n    low: 1\n    high: 8\n"
            "    when: {loss.alpha: 0.5, loss.distillation: none}\n",
            "7: loss.temperature.when: can never hold: no value of loss.distillation meets all "
            "conditions on the way here",
        ),
        (KINDS + "  alpha: {choices: [0.5], when: mse}\n",
         "3: loss.alpha.when: must be a valid tuple, got 'mse'"),
        (KINDS + "  alpha: {choices: [0.5], when: {loss.distillation: []}}\n",
         "3: loss.alpha.when: must name a value to wait for, got none for 'loss.distillation'"),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert mistakes(tmp_path, text) == [expected]


def test_conditions_in_a_circle_are_refused(tmp_path: Path) -> None:
    text = (
        "seed: {choices: [1], when: {lr: 1}}\n"
        "lr: {low: 1, high: 2, when: {loss.alpha: 1}}\n"
        "loss: {alpha: {choices: [1], when: {seed: 1}}}\n"
    )
    assert mistakes(tmp_path, text) == [" conditions wait for each other: seed, lr, loss.alpha"]


def test_a_file_without_a_range_is_refused(tmp_path: Path) -> None:
    expected = " nothing to search: no setting has choices or low and high"
    assert mistakes(tmp_path, "lr: 0.1\n") == [expected]


def test_all_unknown_names_and_bad_ranges_are_listed_at_once(tmp_path: Path) -> None:
    text = "lr: {low: 2, high: 1}\nsede: 1\nloss:\n  alpa: 1\n"
    assert [line.split(":")[0] for line in mistakes(tmp_path, text)] == ["1", "2", "4"]


def test_an_unknown_name_is_no_file_and_no_bundled_space() -> None:
    with pytest.raises(ConfigError, match=r"'mixr'; did you mean 'mixer'\?"):
        read_space("mixr", Config)


def test_a_file_is_found_by_its_name_as_text(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SPACE)
    assert read_space(str(tmp_path / "mine.yaml"), Config).name == "mine"


def test_bundled_spaces_are_found_by_name() -> None:
    assert {"demo", "mixer"} <= set(bundled_spaces())
    assert all(path.is_file() for path in bundled_spaces().values())


@pytest.mark.parametrize("name", sorted(bundled_spaces()))
def test_bundled_spaces_fit_the_trial_config_and_come_back_from_it(name: str) -> None:
    config = pytest.importorskip("trainable.config")
    space = read_space(name, config.TrialConfig)
    rng = random.Random(0)

    def pick(dimension: Choice | Float | Integer) -> object:
        if isinstance(dimension, Float):
            return rng.choice([dimension.low, dimension.high, rng.uniform(*dimension.extremes())])
        return rng.choice(dimension.extremes())

    for _ in range(50):
        params = space.sample(pick)  # type: ignore[arg-type]
        trial = load_mapping(config.TrialConfig, space.tree(params), name)
        assert space.params_of(trial.model_dump(mode="json")) == params
        # What is not sampled has no effect: it is not in the canonical form either.
        canonical = trial.canonical()["loss"]
        assert ("alpha" in canonical) == ("loss.alpha" in params)
        assert ("temperature" in canonical) == ("loss.temperature" in params)
