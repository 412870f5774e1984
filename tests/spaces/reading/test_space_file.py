import random
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from spaces.dimensions import Choice, Float, Integer
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import load_mapping
from spaces.reading.space_file import bundled_spaces, read_space
from spaces.space import Space
from trainable.config.reading import read_trial_space
from trainable.config.trial_config import TrialConfig

Read = Callable[[str], Space]
Mistakes = Callable[[str], list[str]]


class Config(BaseModel):
    lr: float = 1e-3


def test_ranges_become_dimensions_and_the_rest_stays_fixed(read: Read) -> None:
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
    space = read(text)
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


def test_the_family_may_be_a_choice_on_which_the_rest_depends(read: Read) -> None:
    text = """
model:
  family: {choices: [mixer, lstm]}
  num_blocks: {low: 1, high: 8, when: {model.family: mixer}}
  num_layers: {low: 1, high: 3, when: {model.family: lstm}}
"""
    space = read(text)
    params = space.sample(lambda dimension: dimension.extremes()[-1])
    assert params == {"model.family": "lstm", "model.num_layers": 3}
    for family in ("mixer", "lstm"):
        text = text.replace(f", when: {{model.family: {family}}}", "")
    implied = read(text)
    assert "when" not in text
    assert list(implied.grid_points()) == list(space.grid_points())
    assert space.num_points() == 8 + 3


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
    mistakes: Mistakes, text: str, expected: list[str]
) -> None:
    assert mistakes(SPACE + text) == expected


def test_a_file_without_a_range_is_refused(mistakes: Mistakes) -> None:
    expected = " nothing to search: no setting has choices or low and high"
    assert mistakes("lr: 0.1\n") == [expected]


def test_all_unknown_names_and_bad_ranges_are_listed_at_once(mistakes: Mistakes) -> None:
    text = "lr: {low: 2, high: 1}\nsede: 1\nloss:\n  alpa: 1\n"
    assert [line.split(":")[0] for line in mistakes(text)] == ["1", "2", "4"]


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
    space = read_trial_space(name)
    rng = random.Random(0)

    def pick(dimension: Choice | Float | Integer) -> object:
        if isinstance(dimension, Float):
            return rng.choice([dimension.low, dimension.high, rng.uniform(*dimension.extremes())])
        return rng.choice(dimension.extremes())

    for _ in range(50):
        params = space.sample(pick)  # type: ignore[arg-type]
        trial = load_mapping(TrialConfig, space.tree(params), name)
        back = space.params_of(trial.model_dump(mode="json"))
        if space.presets:  # several may be one config
            again = load_mapping(TrialConfig, space.tree(back), name)
            assert again.config_hash() == trial.config_hash()
            continue
        # Stage weights are rounded, so their ratio comes back nearly.
        back, params = (
            {k: round(v, 9) if isinstance(v, float) else v for k, v in each.items()}
            for each in (back, params)
        )
        assert back == params
        # What is not sampled has no effect: it is not in the canonical form either.
        canonical = trial.canonical()["loss"]
        assert ("alpha" in canonical) == ("loss.alpha" in params)
        assert ("temperature" in canonical) == ("loss.temperature" in params)
