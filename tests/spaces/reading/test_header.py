"""Limits, starts, settings and presets of a space file."""

import random
from collections.abc import Callable
from functools import partial

import pytest

from spaces.limits import Limits
from spaces.space import Space
from trainable.config.trial_config import TrialConfig

PRESETS = {
    "v1": {"loss": {"distillation": "mse", "alpha": 0.5, "temperature": 4}},
    "v2": {"loss": {"distillation": "cosine"}},
    "hybrid": {"model": {"family": "mlp_mixer_hybrid", "num_blocks": 4}},
}


@pytest.fixture
def read(read_trials: Callable[..., Space]) -> Callable[[str], Space]:
    return partial(read_trials, presets=PRESETS)


def test_what_is_not_the_configs_is_kept_beside_it(read) -> None:
    space = read(
        "limits: {max_params: 3000000, max_gpu_memory: 3GiB}\n"
        "start_from: [v1, 'run:runs/first#top3']\n"
        "search: {num_trials: 8, anything: [1]}\n"
        "training: {lr: {choices: [0.1, 0.2]}}\n"
    )
    assert space.limits == Limits(max_params=3_000_000, max_gpu_memory=3 * 2**30)
    assert space.start_from == ("v1", "run:runs/first#top3")
    assert space.search == {"num_trials": 8, "anything": [1]}
    assert space.fixed == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("limits:\n  max_parms: 3\n", "2: limits.max_parms: unknown key; did you mean"),
        ("limits:\n  max_params: 0\n", "2: limits.max_params: must be greater than or equal to 1"),
        ("start_from: [1]\n", "1: start_from[0]: must be a valid string, got 1"),
        ("search: 3\n", "1: search: must be a mapping, such as {name: value}, got 3"),
        ("presets:\n- v1\n- v22\n", "3: presets[1]: no bundled config 'v22'; did you mean 'v2'?"),
        ("presets: [v1, v1]\n", "1: presets[1]: presets must differ, got 'v1' twice"),
        ("preset: v1\n", "1: preset: unknown key; did you mean 'presets'?"),
        (
            "presets: [v2, hybrid]\nmodel: {family: mlp_mixer, num_filters: 3}\n",
            "2: model.num_filters: unknown key",
        ),
        (
            "presets: [v2, v1]\nloss: {beta: 0.4}\nmodel: {family: mlp_mixer_autoencoder}\n",
            "1: presets[0]: with 'v2', loss: alpha + beta must be at most 1, got alpha=0.7",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(mistakes, text: str, expected: str) -> None:
    assert any(line.startswith(expected) for line in mistakes(text))


def test_a_space_of_only_presets_has_a_point_each(read) -> None:
    space = read("presets: [v1, v2, hybrid]\n")
    assert list(space.grid_points()) == [{"preset": name} for name in PRESETS]
    assert space.contains({"preset": "v1"})
    assert not space.contains({"preset": "v3"})
    for name, tree in PRESETS.items():
        config = TrialConfig.model_validate(space.tree({"preset": name}))
        assert config == TrialConfig.model_validate(tree)
        # Each is found again, from its tree, the full config and the canonical one.
        for dump in (space.tree({"preset": name}), config.model_dump(), config.canonical()):
            assert space.params_of(dump) == {"preset": name}


def test_fixed_values_lie_over_the_preset_and_parameters_over_both(read) -> None:
    space = read(
        "presets: [v1, v2]\nloss: {alpha: {low: 0.1, high: 0.9}, margin: 0.2}\n"
        "training: {batch_size: 32}\n"
    )
    tree = space.tree({"preset": "v1", "loss.alpha": 0.25})
    assert tree["loss"] == {
        "distillation": "mse", "alpha": 0.25, "temperature": 4, "margin": 0.2
    }  # fmt: skip
    assert tree["training"] == {"batch_size": 32}
    rng = random.Random(0)
    for _ in range(20):
        params = {"preset": rng.choice(["v1", "v2"]), "loss.alpha": rng.uniform(0.1, 0.9)}
        assert space.params_of(space.tree(params)) == params
    tree["loss"]["temperature"] = 3
    with pytest.raises(ValueError, match=r"with preset 'v1': loss.temperature is 3, fixed at 4"):
        space.params_of(tree)


def test_a_condition_may_be_on_the_preset_or_on_what_presets_set(read) -> None:
    for when in ("preset: v1", "loss.distillation: mse"):
        space = read(f"presets: [v1, v2]\nseed: {{choices: [1, 2], when: {{{when}}}}}\n")
        points = [tuple(point.values()) for point in space.grid_points()]
        assert points == [("v1", 1), ("v1", 2), ("v2",)]


def test_a_space_whose_presets_are_not_its_choices_cannot_be_built() -> None:
    with pytest.raises(ValueError, match=r"preset must choose among \['a'\], got \[\]"):
        Space(name="x", fixed={}, dimensions=(), presets={"a": {}})
