"""Architectures of a space against a brute force over all values."""

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from search.estimates.architectures import drawn_trees, find_architectures
from spaces.dimensions import Choice, Dimension, Float, Integer
from spaces.space import Space
from trainable.config.trial_config import TrialConfig

FIXED = {"model": {"family": "mlp_mixer", "num_frames": 80}, "training": {"crop_frames": 80}}
KIND = Choice(name="loss.distillation", choices=("none", "mse", "cosine"))
WIDTH = Integer(name="model.hidden_dim", low=10, high=16, step=2)
GROUPED = Choice(name="model.group_channel_mixing", choices=(True, False))
# Grouped mixing of 10 or 14 channels in 4 groups is refused.
BLOCKS = Integer(
    name="model.num_blocks", low=1, high=3, when={"loss.distillation": ["mse", "cosine"]}
)
ALPHA = Float(
    name="loss.alpha", low=0.2, high=0.8, step=0.2, when={"loss.distillation": ["mse", "cosine"]}
)
RATE = Float(name="training.lr", low=1e-4, high=1e-2, log=True)
DEEP = Choice(name="training.batch_size", choices=(8, 16), when={"model.num_blocks": [2, 3]})


def space(*dimensions: Dimension) -> Space:
    return Space(name="some", fixed=FIXED, dimensions=dimensions)


def all_params(one: Space) -> set[tuple[tuple[str, Any], ...]]:
    """Every combination of values, cut to what is active by the space itself."""
    values = [list(dimension.points()) for dimension in one.dimensions]
    names = [dimension.name for dimension in one.dimensions]
    found = set()
    for chosen in itertools.product(*values):
        value_of = dict(zip(names, chosen, strict=True))
        found.add(tuple(one.sample(lambda each, v=value_of: v[each.name]).items()))
    return found


SPACES = [
    space(WIDTH),
    space(WIDTH, GROUPED),
    space(KIND, BLOCKS),
    space(KIND, BLOCKS, ALPHA, WIDTH, GROUPED),
    space(KIND, BLOCKS, DEEP, ALPHA),
]


@pytest.mark.parametrize("one", SPACES)
def test_architectures_are_those_that_brute_force_finds(one: Space) -> None:
    hashes, refused = set[str](), set[str]()
    for params in all_params(one):
        tree = one.tree(dict(params))
        try:
            hashes.add(TrialConfig.model_validate(tree).model_hash())
        except ValidationError:
            refused.add(str(tree["model"]))
    found = find_architectures(one, max_walked=1000, num_drawn=1, seed=0)
    walked = [
        TrialConfig(model=model, training={"crop_frames": 80}).model_hash()
        for model in found.models
    ]
    assert found.is_all
    assert len(set(walked)) == len(walked)
    assert set(walked) == hashes
    assert found.num_refused == len(refused)


def test_what_the_model_does_not_hang_on_is_not_walked() -> None:
    one = space(WIDTH, RATE, Integer(name="seed", low=0, high=10**9))
    found = find_architectures(one, max_walked=4, num_drawn=1, seed=0)
    assert found.is_all
    assert [model.hidden_dim for model in found.models] == [10, 12, 14, 16]


@pytest.mark.parametrize("max_walked", [1, 3])
def test_more_settings_than_may_be_walked_are_sampled(max_walked: int) -> None:
    found = find_architectures(space(WIDTH, RATE), max_walked=max_walked, num_drawn=2, seed=0)
    assert not found.is_all
    assert 1 <= len(found.models) <= 2


def test_a_space_that_leaves_the_model_alone_has_the_default() -> None:
    one = Space(name="rates", fixed={}, dimensions=(RATE,))
    found = find_architectures(one, max_walked=10, num_drawn=1, seed=0)
    assert found.models == (TrialConfig().model,)
    assert found.is_all


def test_a_continuous_parameter_may_decide_what_the_model_has() -> None:
    beta = Float(name="loss.beta", low=0.0, high=0.2)
    blocks = Integer(name="model.num_blocks", low=2, high=4, when={"loss.beta": {"not": 0.0}})
    found = find_architectures(space(beta, blocks), max_walked=4, num_drawn=1, seed=0)
    assert found.is_all
    # Without beta the default, six.
    assert sorted(model.num_blocks for model in found.models) == [2, 3, 4, 6]


def test_presets_bring_their_own_models() -> None:
    presets = {
        "small": {"model": {"family": "mlp_mixer", "hidden_dim": 16}},
        "deep": {"model": {"family": "mlp_mixer", "num_blocks": 9}},
        "same": {"model": {"family": "mlp_mixer", "hidden_dim": 16}, "seed": 3},
    }
    one = Space(
        name="presets",
        fixed={},
        dimensions=(Choice(name="preset", choices=tuple(presets)), RATE),
        presets=presets,
    )
    found = find_architectures(one, max_walked=10, num_drawn=1, seed=0)
    assert [(m.hidden_dim, m.num_blocks) for m in found.models] == [(16, 6), (192, 9)]


def test_the_same_seed_draws_the_same_configs() -> None:
    one = space(*SPACES[3].dimensions, RATE)
    first, again, other = (list(drawn_trees(one, 5, seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other
