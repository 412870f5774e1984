"""Configs mapped onto a space: the nearest parameters, and a remark on every difference."""

from collections.abc import Callable
from functools import partial

import pytest

from spaces.fitting import fit_config
from spaces.space import Space
from trainable.config.trial_config import TrialConfig

SPACE = """
model:
  family: mlp_mixer
  num_blocks: {low: 2, high: 8, step: 2}
  hidden_dim: {choices: [64, 96, 192]}
loss:
  margin: 0.1
  distillation: {choices: [mse, cosine]}
  alpha: {choices: [0, 0.3, 0.7]}
  temperature: {low: 1, high: 2}
  stages: {choices: [none, cosine]}
  stage_weights: {ramp: {low: 0.5, high: 4}}
training:
  lr: {low: 1e-4, high: 1e-2, log: true}
"""
PRESETS = {
    "v1": {"loss": {"distillation": "mse", "alpha": 0.5}},
    "v2": {"loss": {"distillation": "cosine"}},
}


@pytest.fixture
def read(read_trials: Callable[..., Space]) -> Callable[[str], Space]:
    return partial(read_trials, presets=PRESETS)


def full(**parts: object) -> dict:
    """Return a dump of the whole config."""
    return TrialConfig.model_validate(parts).model_dump(mode="json")


def canonical(**parts: object) -> dict:
    return TrialConfig.model_validate(parts).canonical()


DEFAULT = {
    "model.num_blocks": 6,
    "model.hidden_dim": 192,
    "loss.alpha": 0.7,
    "loss.distillation": "cosine",
    "loss.stages": "none",
    "training.lr": 0.001,
}


@pytest.mark.parametrize("dump", [full, canonical])
def test_a_config_in_the_space_comes_as_it_is(read, dump) -> None:
    fitted = fit_config(read(SPACE), dump(), TrialConfig)
    assert fitted.params == DEFAULT
    assert fitted.remarks == ()


@pytest.mark.parametrize("dump", [full, canonical])
@pytest.mark.parametrize(
    ("parts", "params", "remarks"),
    [
        (
            {"model": {"family": "mlp_mixer", "num_blocks": 12}},
            {"model.num_blocks": 8},
            ["model.num_blocks 12 -> 8, the nearest here"],
        ),
        (
            {"model": {"family": "mlp_mixer", "num_blocks": 3, "hidden_dim": 128}},
            {"model.num_blocks": 2, "model.hidden_dim": 96},
            ["model.num_blocks 3 -> 2, the nearest here",
             "model.hidden_dim 128 -> 96, the nearest here"],
        ),
        ({"loss": {"margin": 0.2}}, {}, ["loss.margin is 0.2 there, fixed at 0.1 here"]),
        (
            {"training": {"batch_size": 32}, "seed": 9},
            {},
            ["training.batch_size is 32 there, the default 64 here"],
        ),
        (
            {"loss": {"stages": "cosine"}},
            {"loss.stages": "cosine", "loss.stage_weights.ratio": 0.5},
            ["loss.stage_weights [0.0625, 0.0625, 0.125, 0.125, 0.1875, 0.1875, 0.25] -> "
             "[0.333333333333, 0.666666666667], the nearest here"],
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_moved_near_and_remarked_on(
    read, dump, parts: dict, params: dict, remarks: list[str]
) -> None:
    fitted = fit_config(read(SPACE), dump(**parts), TrialConfig, ignore={"seed"})
    assert fitted.params == DEFAULT | params
    if dump is canonical or "loss" not in parts or "stages" not in parts["loss"]:
        assert list(fitted.remarks) == remarks
    else:
        assert len(fitted.remarks) == 1
    assert read(SPACE).contains(fitted.params)


def test_a_word_that_is_no_choice_fits_nowhere(read) -> None:
    fitted = fit_config(read(SPACE), canonical(loss={"distillation": "rkd"}), TrialConfig)
    assert fitted.params is None
    assert fitted.remarks == ("loss.distillation is 'rkd' there, not in ['mse', 'cosine'] here",)


def test_no_distillation_is_alpha_0_where_the_space_has_no_other_word_for_it(read) -> None:
    fitted = fit_config(read(SPACE), canonical(loss={"distillation": "none"}), TrialConfig)
    assert fitted.params is not None
    assert fitted.params["loss.alpha"] == 0
    assert "loss.distillation" not in fitted.params
    assert fitted.remarks == ("loss.distillation 'none' -> loss.alpha 0, which means the same",)


def test_another_family_is_remarked_on_with_all_that_it_loses(read) -> None:
    fitted = fit_config(read(SPACE), canonical(model={"family": "resnet_se34l"}), TrialConfig)
    assert fitted.params == DEFAULT
    assert fitted.remarks == (
        "model.num_blocks is not given there: 6, the default",
        "model.hidden_dim is not given there: 192, the default",
        "model.family is 'resnet_se34l' there, fixed at 'mlp_mixer' here",
        "model.encoder_type is 'SAP' there and has no effect here",
        "model.num_filters is 16 there and has no effect here",
    )


def test_what_is_missing_comes_from_the_defaults_or_from_the_middle(read) -> None:
    space = read("loss: {alpha: {low: 0.1, high: 0.3}}\nseed: {choices: [4, 5]}\n")
    without = fit_config(space, {})
    assert without.params == {"loss.alpha": pytest.approx(0.2), "seed": 4}
    assert without.remarks[1] == "seed is not given there: 4, the first choice here"
    known = fit_config(space, {}, TrialConfig)
    assert known.params == {"loss.alpha": 0.3, "seed": 4}
    assert known.remarks == (
        "loss.alpha is not given there: 0.7, the default -> 0.3, the nearest here",
        "seed is not given there: 0, the default -> 4, the nearest here",
    )


def test_without_the_class_every_setting_that_is_not_here_is_remarked_on(read) -> None:
    space = read("loss: {alpha: {low: 0.1, high: 0.9}}\n")
    fitted = fit_config(space, {"loss": {"alpha": 0.5, "margin": 0.3}})
    assert fitted.params == {"loss.alpha": 0.5}
    assert fitted.remarks == ("loss.margin is 0.3 there and is not set here",)


def test_a_config_that_is_not_valid_is_refused_with_the_rule(read) -> None:
    fitted = fit_config(read(SPACE), {"training": {"lr": "fast"}}, TrialConfig)
    assert fitted.params is None
    assert "not a valid config: training.lr: must be a valid number" in fitted.remarks[0]


def test_the_preset_that_needs_the_fewest_remarks_is_taken(read) -> None:
    space = read("presets: [v1, v2]\n")
    assert fit_config(space, PRESETS["v2"], TrialConfig).params == {"preset": "v2"}
    near = fit_config(space, canonical(loss={"distillation": "mse", "alpha": 0.4}), TrialConfig)
    assert near.params == {"preset": "v1"}
    assert near.remarks == (
        "preset v1 is the nearest",
        "loss.alpha is 0.4 there, fixed at 0.5 here",
    )


def test_values_that_do_not_go_together_here_fit_nowhere(read) -> None:
    space = read(
        "model: {family: mlp_mixer_autoencoder}\n"
        "loss: {alpha: {choices: [0.1, 0.9]}, beta: {choices: [0.05, 0.3]}}\n"
    )
    tree = canonical(model={"family": "mlp_mixer_autoencoder"}, loss={"alpha": 0.7, "beta": 0.2})
    fitted = fit_config(space, tree, TrialConfig)
    assert fitted.params is None
    assert fitted.remarks == (
        "loss.alpha 0.7 -> 0.9, the nearest here",
        "loss.beta 0.2 -> 0.3, the nearest here",
        "not a valid config here: loss: alpha + beta must be at most 1, got alpha=0.9, beta=0.3",
    )
