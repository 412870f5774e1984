"""What has no effect is neither sampled nor canonical, by one table of the config class."""

import random
from collections.abc import Callable
from functools import partial

import pytest

from spaces.dimensions import Dimension, Float
from spaces.effects import all_needs, effective_tree, only, unless
from spaces.space import Space
from spaces.trees import flatten
from trainable.config.trial_config import TrialConfig

PRESETS = {
    "v1": {"model": {"family": "mlp_mixer"}, "loss": {"distillation": "mse", "alpha": 0.5}},
    "v2": {"model": {"family": "mlp_mixer"}, "loss": {"distillation": "cosine"}},
    "without": {"model": {"family": "mlp_mixer"}, "loss": {"distillation": "none"}},
    "resnet": {"model": {"family": "resnet_se34l", "num_filters": 32}},
}
EVERYTHING = """
training:
  mask_bins: {choices: [3, 9]}
  num_masks: {low: 0, high: 2}
  lr_decay: {choices: [0.9, 1]}
  lr_decay_every_epochs: {choices: [1, 5]}
loss:
  stage_weights: {ramp: {low: 0.1, high: 4}}
  stages: {choices: [none, cosine]}
  temperature: {low: 1, high: 8}
  nontarget_weight: {choices: [1, 8]}
  distillation: {choices: [none, mse, cosine, dkd]}
  alpha: {low: 0.1, high: 0.5}
  beta: {choices: [0, 0.1]}
model:
  num_decoder_blocks: {choices: [1, 2]}
  num_blocks: {low: 2, high: 4}
  num_filters: {choices: [8, 16]}
  num_frames: 200
  family: {choices: [mlp_mixer, mlp_mixer_autoencoder, resnet_se34l]}
"""


@pytest.fixture
def read(read_trials: Callable[..., Space]) -> Callable[[str], Space]:
    return partial(read_trials, presets=PRESETS)


def drawing(rng: random.Random) -> Callable[[Dimension], object]:
    def pick(dimension: Dimension) -> object:
        if isinstance(dimension, Float):
            return rng.uniform(dimension.low, dimension.high)
        return rng.choice(list(dimension.points()))

    return pick


def test_a_space_without_any_condition_samples_exactly_what_is_canonical(read) -> None:
    space, rng = read(EVERYTHING), random.Random(1)
    varied = {each.name for each in space.dimensions} - {"loss.stage_weights.ratio"}
    seen = set()
    for _ in range(300):
        params = space.sample(drawing(rng))
        canonical = flatten(TrialConfig.model_validate(space.tree(params)).canonical())
        sampled = {name.removesuffix(".ratio") for name in params}
        # Distillation is set to none where it has no effect; the rest is left out.
        assert {*varied, "loss.stage_weights"} & canonical.keys() == sampled
        seen |= params.keys()
        assert space.params_of(space.tree(params)) == pytest.approx(params)
    assert seen == {each.name for each in space.dimensions}


def test_a_fixed_value_that_some_families_lack_is_set_for_the_others_only(read) -> None:
    space = read(EVERYTHING)
    for family, has_frames in [("mlp_mixer", True), ("resnet_se34l", False)]:
        params = space.sample(
            lambda each, family=family: family
            if each.name == "model.family"
            else each.extremes()[0]
        )
        assert ("num_frames" in space.tree(params)["model"]) is has_frames


def test_a_chain_of_three_effects_holds_together(read) -> None:
    space = read(
        "loss:\n  stage_weights: {ramp: {low: 1, high: 1}}\n  stages: {choices: [none, cosine]}\n"
        "  distillation: {choices: [none, mse]}\n  alpha: {choices: [0, 0.3]}\n"
    )
    assert [tuple(point.values()) for point in space.grid_points()] == [
        ("none",),
        ("mse", 0),
        ("mse", 0.3, "none"),
        ("mse", 0.3, "cosine", 1.0),
    ]


def test_no_alpha_means_no_kind_of_distillation_either(read) -> None:
    space = read("loss: {distillation: {choices: [mse, cosine]}, alpha: {choices: [0, 0.3]}}\n")
    points = [tuple(point.values()) for point in space.grid_points()]
    assert points == [(0,), (0.3, "mse"), (0.3, "cosine")]
    hashes = {TrialConfig.model_validate(space.tree(p)).config_hash() for p in space.grid_points()}
    assert len(hashes) == 3


def test_a_users_own_condition_stands_beside_the_effect(read) -> None:
    space = read(
        "loss:\n  distillation: {choices: [mse, cosine]}\n"
        "  alpha: {choices: [0, 0.3], when: {loss.distillation: mse}}\n"
        "  stages: {choices: [none, cosine]}\n"
    )
    # With cosine alpha is the default, so that stages have an effect.
    assert [tuple(point.values()) for point in space.grid_points()] == [
        ("mse", 0),
        ("mse", 0.3, "none"),
        ("mse", 0.3, "cosine"),
        ("cosine", "none"),
        ("cosine", "cosine"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "loss:\n  distillation: cosine\n  temperature: {low: 1, high: 8}\n",
            ["3: loss.temperature: has no effect: loss.distillation is fixed at 'cosine'"],
        ),
        (
            "loss:\n  temperature: {low: 1, high: 8}\n  stage_weights: {free: 7}\n",
            [
                "2: loss.temperature: has no effect: loss.distillation is 'cosine' unless given",
                "3: loss.stage_weights: has no effect: loss.stages is 'none' unless given",
            ],
        ),
        (
            "loss:\n  distillation: {choices: [cosine, kl]}\n  angle_weight: {low: 1, high: 2}\n",
            ["3: loss.angle_weight: has no effect: loss.distillation is never 'rkd'"],
        ),
        (
            "loss:\n  alpha: 0\n  distillation: {choices: [mse, cosine]}\n",
            ["3: loss.distillation: has no effect: loss.alpha is fixed at 0"],
        ),
        (
            "model: {family: mlp_mixer}\nloss:\n  beta: {low: 0, high: 0.3}\n",
            ["3: loss.beta: has no effect: model.family is fixed at 'mlp_mixer'"],
        ),
        (
            "model:\n  family: mlp_mixer_autoencoder\n  num_decoder_blocks: {low: 1, high: 2}\n",
            ["3: model.num_decoder_blocks: has no effect: loss.beta is 0.0 unless given"],
        ),
        (
            "training:\n  num_masks: {choices: [0]}\n  mask_bins: {low: 1, high: 2}\n",
            ["3: training.mask_bins: has no effect: training.num_masks is always 0"],
        ),
        (
            "presets: [v2, without]\nloss:\n  temperature: {low: 1, high: 8}\n",
            [
                "3: loss.temperature: has no effect: loss.distillation is 'cosine' or 'none' in "
                "every preset"
            ],
        ),
        (
            "loss:\n  distillation: {choices: [mse, cosine]}\n"
            "  temperature:\n    low: 1\n    high: 8\n    when: {loss.distillation: cosine}\n",
            [
                "6: loss.temperature.when: where its condition holds it has no effect, whatever "
                "loss.distillation is"
            ],
        ),
        (
            "model:\n  family: {choices: [mlp_mixer, mlp_mixer_hybrid]}\n"
            "  num_filters: {choices: [8]}\n",
            ["3: model.num_filters: unknown key; did you mean"],
        ),
    ],
)
def test_a_dimension_that_can_never_have_an_effect_is_refused(
    mistakes, text: str, expected: list[str]
) -> None:
    found = mistakes(text)
    assert len(found) == len(expected)
    assert all(line.startswith(each) for line, each in zip(found, expected, strict=True))


def test_fixed_reconstruction_of_weight_0_is_allowed_anywhere(read) -> None:
    space = read("loss: {beta: 0, alpha: {low: 0.1, high: 0.2}}\n")
    assert [each.name for each in space.dimensions] == ["loss.alpha"]


def test_effects_reach_through_presets(read) -> None:
    space = read(
        "presets: [v1, v2, without, resnet]\nloss: {temperature: {choices: [1, 2]}}\n"
        "model: {num_blocks: {choices: [2, 3]}}\n"
    )
    assert [tuple(point.values()) for point in space.grid_points()] == [
        *[("v1", heat, depth) for heat in (1, 2) for depth in (2, 3)],
        *[(preset, depth) for preset in ("v2", "without") for depth in (2, 3)],
        ("resnet",),
    ]
    assert space.num_points() == 9


def test_needs_are_followed_through_other_parameters_and_around_circles() -> None:
    needs = {"a": (unless("b", 0),), "b": (unless("a", 0), only("c", 1)), "c": ()}
    assert all_needs("a", needs) == [unless("b", 0), only("c", 1)]
    assert all_needs("b", needs) == [unless("a", 0), only("c", 1)]


def test_a_neutral_value_takes_the_effect_from_others() -> None:
    needs = {"kind": (unless("weight", 0),), "weight": (unless("kind", "none"),)}
    without = effective_tree({"kind": "mse", "weight": 0, "x": 1}, needs, {"kind": "none"})
    assert without == {"kind": "none", "x": 1}
    assert effective_tree(without, needs, {"kind": "none"}) == without


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"loss": {"alpha": 0, "distillation": "kl", "stages": "cosine"}},
         {"loss": {"distillation": "none", "temperature": 3}}),
        ({"training": {"num_masks": 0, "mask_bins": 3}}, {"training": {"mask_frames": 7}}),
        ({"training": {"lr_decay": 1, "lr_decay_every_epochs": 3}}, {"training": {"lr_decay": 1}}),
        (
            {"model": {"family": "mlp_mixer_autoencoder", "num_decoder_blocks": 3}},
            {"model": {"family": "mlp_mixer_autoencoder"}},
        ),
    ],
)  # fmt: skip
def test_configs_that_differ_in_what_has_no_effect_are_one(one: dict, other: dict) -> None:
    first, second = (TrialConfig.model_validate(each).canonical() for each in (one, other))
    assert first == second
    assert TrialConfig.model_validate(first).canonical() == first


def test_the_decoder_counts_where_it_is_trained() -> None:
    model = {"family": "mlp_mixer_autoencoder", "num_decoder_blocks": 3}
    canonical = TrialConfig.model_validate({"model": model, "loss": {"beta": 0.1}}).canonical()
    assert canonical["model"]["num_decoder_blocks"] == 3
