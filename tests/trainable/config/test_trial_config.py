"""Trial configs: what is refused, what counts as the same."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from spaces.files.errors import ConfigError
from spaces.files.yaml_file import load_model, read_yaml, write_yaml
from trainable.config.needs import ADDED_LATER, OWN_PARAMETERS
from trainable.config.reading import read_trial_config
from trainable.config.trial_config import (
    LossConfig,
    TrainRunConfig,
    TrialConfig,
    read_train_config,
)


def config(**parts: object) -> TrialConfig:
    return TrialConfig.model_validate(parts)


def test_weights_of_the_terms_add_up_to_one() -> None:
    loss = LossConfig(alpha=0.7)
    assert (loss.distill_weight, loss.classification_weight) == (0.7, pytest.approx(0.3))
    without = LossConfig(distillation="none", alpha=0.7)
    assert (without.distill_weight, without.classification_weight) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"distillation": "none", "alpha": 0.1}, {"distillation": "none", "alpha": 0.9}, True),
        ({"distillation": "cosine", "temperature": 1}, {"distillation": "cosine"}, True),
        ({"distillation": "mse", "temperature": 1}, {"distillation": "mse"}, False),
        ({"alpha": 0.5}, {"alpha": 0.6}, False),
        ({"alpha": 0.0}, {"distillation": "none"}, True),
        ({"distillation": "kl"}, {"distillation": "kl", "target_weight": 3}, True),
        ({"distillation": "kl"}, {"distillation": "kl", "temperature": 3}, False),
        ({"distillation": "dkd"}, {"distillation": "dkd", "angle_weight": 3}, True),
        ({"distillation": "dkd"}, {"distillation": "dkd", "nontarget_weight": 3}, False),
        ({"distillation": "rkd"}, {"distillation": "rkd", "temperature": 3}, True),
        ({"distillation": "rkd"}, {"distillation": "rkd", "distance_weight": 3}, False),
        ({"distillation": "infonce"}, {"distillation": "infonce", "temperature": 3}, True),
        (
            {"distillation": "infonce"},
            {"distillation": "infonce", "contrast_temperature": 3},
            False,
        ),
        ({}, {"stages": "cosine"}, False),
        ({}, {"stage_weights": [1, 2]}, True),
        ({"distillation": "none"}, {"distillation": "none", "stages": "cosine"}, True),
        (
            {"stages": "cosine", "stage_weights": [1, 2]},
            {"stages": "cosine", "stage_weights": [1.5, 3]},
            True,
        ),
        (
            {"stages": "cosine", "stage_weights": [1, 1, 1]},
            {"stages": "cosine", "stage_weights": [1 / 3, 1 / 3, 1 / 3]},
            True,
        ),
        ({"stages": "cosine"}, {"stages": "cosine", "stage_weights": [1, 2]}, False),
    ],
)
def test_configs_that_mean_the_same_have_one_hash(one: dict, other: dict, same: bool) -> None:
    assert (config(loss=one).config_hash() == config(loss=other).config_hash()) is same


def test_a_canonical_config_reads_back_as_the_same_config() -> None:
    original = config(loss={"distillation": "none"}, model={"family": "lstm_autoencoder"})
    again = TrialConfig.model_validate(original.canonical())
    assert again.canonical() == original.canonical()
    assert again.config_hash() == original.config_hash()


@pytest.mark.parametrize(
    ("name", "expected"), [("v1_mse", "579e1cc98cff"), ("v2_cosine", "2394b8314263")]
)
def test_a_setting_that_is_off_leaves_the_hashes_of_earlier_versions(
    name: str, expected: str
) -> None:
    """The hashes are those of version 0.1, which had no average of the weights."""
    trial = read_trial_config(name)
    assert trial.training.ema_epochs == 0
    assert trial.config_hash() == expected
    training = trial.training.model_copy(update={"ema_epochs": 1.5})
    averaged = trial.model_copy(update={"training": training})
    assert averaged.canonical()["training"]["ema_epochs"] == 1.5
    assert averaged.config_hash() != expected
    assert TrialConfig.model_validate(averaged.canonical()) == averaged


# A value other than the default of each later setting, and what it needs to have an effect.
SGD, RAMP = {"training.optimizer": "sgd"}, {"loss.margin_warmup_epochs": 2.5}
PHASE = {"training.last_phase_epochs": 3}
LATER = {
    "loss.margin_warmup_epochs": (2.5, {}),
    "loss.margin_initial": (0.05, RAMP),
    "loss.margin_rises_after": (4.0, RAMP),
    "loss.margin_rise": ("linear", RAMP),
    "training.accumulate_steps": (4, {}),
    "training.average_last": (10, {}),
    "training.ema_epochs": (1.5, {}),
    "training.optimizer": ("adamw", {}),
    "training.momentum": (0.8, SGD),
    "training.nesterov": (True, SGD),
    "training.schedule": ("cosine", {}),
    "training.warmup_epochs": (0.5, {}),
    "training.final_lr_ratio": (0.1, {"training.schedule": "exponential"}),
    "training.patience_epochs": (7, {}),
    "training.last_phase_epochs": (3, {}),
    "training.last_phase_crop_frames": (600, PHASE),
    "training.last_phase_margin": (0.4, PHASE),
    "training.last_phase_lr": (5e-5, PHASE),
}


@pytest.mark.parametrize("name", sorted(ADDED_LATER))
def test_a_later_setting_is_in_the_hash_only_where_it_has_an_effect(name: str) -> None:
    def with_values(values: dict[str, object]) -> TrialConfig:
        tree: dict[str, Any] = {"model": {"family": "resnet_se34l"}}
        for dotted, value in values.items():
            part, key = dotted.split(".")
            tree.setdefault(part, {})[key] = value
        return TrialConfig.model_validate(tree)

    value, needed = LATER[name]
    without, changed = with_values(needed), with_values({**needed, name: value})
    assert changed.config_hash() != without.config_hash()
    part, key = name.split(".")
    assert changed.canonical()[part][key] == value
    assert key not in without.canonical()[part]
    assert TrialConfig.model_validate(changed.canonical()) == changed
    if needed:
        assert with_values({name: value}).config_hash() == with_values({}).config_hash()


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"batch_size": 9, "accumulate_steps": 5}, r"at least 2 \* accumulate_steps.*size=9, acc"),
        ({"ema_epochs": 1, "average_last": 2}, "must be 0.*got ema_epochs=1, average_last=2"),
        ({"optimizer": "sgd", "momentum": 0, "nesterov": True}, "got nesterov=true, momentum=0"),
        ({"max_epochs": 4, "last_phase_epochs": 4}, "last_phase_epochs=4, max_epochs=4"),
        ({"last_phase_epochs": 2, "last_phase_crop_frames": 600}, "must be 200 or 0.*got 600"),
    ],
)
def test_settings_that_do_not_fit_are_named(training: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(training=training)


def test_a_last_phase_needs_a_classifier_that_was_trained() -> None:
    loss = {"alpha": 1.0}
    with pytest.raises(ValueError, match=r"needs a loss with classification.*got alpha=1\.0"):
        config(loss=loss, training={"last_phase_epochs": 2})


@pytest.mark.parametrize("weights", [[0.1] * 10, [1, 2, 4], [1 / 7] * 7, [0, 3, 1e-9, 11 / 7]])
def test_canonical_stage_weights_are_their_own_canonical_form(weights: list[float]) -> None:
    once = LossConfig(stages="cosine", stage_weights=tuple(weights)).canonical()
    assert sum(once["stage_weights"]) == pytest.approx(1)
    assert LossConfig.model_validate(once).canonical() == once


def test_every_field_of_a_loss_has_an_effect_in_some_canonical_form() -> None:
    ramp = {"margin_warmup_epochs": 3, "margin_initial": 0.05, "margin_rises_after": 1}
    kinds = [LossConfig(distillation=kind, stages="cosine") for kind in OWN_PARAMETERS]
    kinds.append(LossConfig(margin_rise="linear", **ramp))
    assert set().union(*(kind.canonical() for kind in kinds)) == set(LossConfig.model_fields)


def test_yaml_loses_nothing(tmp_path: Path) -> None:
    original = config(training={"lr": 1e-3 / 7, "max_epochs": 3}, seed=2**40)
    write_yaml(tmp_path / "trial.yaml", original.model_dump(mode="json"))
    assert load_model(TrialConfig, read_yaml(tmp_path / "trial.yaml")) == original


def test_an_exponent_without_a_point_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "trial.yaml").write_text("training:\n  lr: 1e-4\n")
    assert load_model(TrialConfig, read_yaml(tmp_path / "trial.yaml")).training.lr == 1e-4


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "trial.yaml").write_text("seed: 1\nloss:\n  aplha: 0.5\n")
    with pytest.raises(ConfigError, match=r"trial.yaml:3: loss.aplha.*'alpha'"):
        load_model(TrialConfig, read_yaml(tmp_path / "trial.yaml"))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"loss": {"alpha": 0.7, "beta": 0.4}}, "alpha=0.7, beta=0.4"),
        ({"loss": {"alpha": 0.5, "beta": 0.1}}, "beta=0.1 with family mlp_mixer"),
        ({"model": {"family": "ecapa_tdnn"}, "loss": {"beta": 0.1}}, "with family ecapa_tdnn"),
        ({"training": {"crop_frames": 300}}, "got 200 and 300"),
        (
            {"model": {"family": "mlp_mixer_hybrid", "num_frames": 100}},
            "num_frames must equal training.crop_frames, got 100 and 200",
        ),
        ({"model": {"family": "mlp_mixer", "num_frames": 202}}, "num_frames=202, groups=4"),
        ({"training": {"batch_size": 1}}, "greater than or equal to 2"),
        ({"training": {"lr": 0}}, "greater than 0"),
        ({"loss": {"stage_weights": [0, 0]}}, r"must not all be 0, got \[0.0, 0.0\]"),
        ({"loss": {"stage_weights": []}}, "at least 1 item"),
        ({"loss": {"stage_weights": [1, -1]}}, "greater than or equal to 0"),
        ({"loss": {"distillation": "msr"}}, "'rkd' or 'infonce'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(parts: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**parts)


@pytest.mark.parametrize("family", ["lstm_autoencoder", "resnet_se34l", "ecapa_tdnn"])
def test_a_model_of_any_length_trains_on_any_crop(family: str) -> None:
    trial = config(model={"family": family}, training={"crop_frames": 300})
    assert trial.training.crop_frames == 300


@pytest.mark.parametrize("family", ["lstm_autoencoder", "mlp_mixer_autoencoder"])
def test_autoencoders_take_a_reconstruction_term(family: str) -> None:
    trial = config(model={"family": family}, loss={"alpha": 0.6, "beta": 0.2})
    assert trial.loss.classification_weight == pytest.approx(0.2)


def test_the_command_line_wins_over_the_file() -> None:
    trial = read_trial_config("teacher", ["training.lr=1e-4", "loss.beta=0"], seed=5)
    assert (trial.training.lr, trial.loss.beta, trial.seed) == (1e-4, 0.0, 5)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.lr", "KEY=VALUE"),
        ("seed.x=1", "seed.x: .*holds a value"),
        ("training.lrr=1", "'lr'"),
        ("training.lr=[", "not valid YAML"),
    ],
)
def test_bad_assignments_are_refused(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_trial_config("teacher", ["seed=1", assignment])


def test_an_unknown_bundled_config_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"teechr: neither a file nor .* mean 'teacher'"):
        read_trial_config("teechr")


def test_distillation_without_a_teacher_is_refused(tmp_path: Path) -> None:
    places = {"train_dir": "a", "train_list": "b", "val_dir": "c", "val_list": "d"}
    with pytest.raises(ValidationError, match="'cosine' needs a teacher"):
        TrainRunConfig.model_validate({"corpus": places})
    write_yaml(tmp_path / "run.yaml", {"corpus": places, "teacher": "t.model"})
    run = read_train_config(tmp_path / "run.yaml", ["trial.training.max_epochs=7"])
    assert run.teacher == tmp_path / "t.model"
    assert run.corpus.train_dir == tmp_path / "a"
    assert run.trial.training.max_epochs == 7


def test_another_teacher_needs_no_hash_of_the_recorded_one(tmp_path: Path) -> None:
    places = {"train_dir": "a", "train_list": "b", "val_dir": "c", "val_list": "d"}
    recorded = {"corpus": places, "teacher": "t.model", "teacher_sha256": "1234"}
    write_yaml(tmp_path / "run.yaml", recorded)
    assert read_train_config(tmp_path / "run.yaml").teacher_sha256 == "1234"
    other = read_train_config(tmp_path / "run.yaml", ["teacher=o.model"])
    assert (other.teacher, other.teacher_sha256) == (tmp_path / "o.model", None)
    given = ["teacher=o.model", "teacher_sha256=abcd"]
    assert read_train_config(tmp_path / "run.yaml", given).teacher_sha256 == "abcd"


@pytest.mark.parametrize("family", ["mlp_mixer", "ecapa_tdnn", "lstm_autoencoder"])
def test_other_mel_bins_than_the_front_ends_are_refused(family: str) -> None:
    message = r"model\.num_mels must be 80, since that is what the front end makes .* got 40"
    with pytest.raises(ValidationError, match=message):
        config(model={"family": family, "num_mels": 40})


def test_a_setting_of_the_command_line_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    write_yaml(tmp_path / "run.yaml", {"corpus": {}, "trial": {"training": {"lr": 0.1}}})
    with pytest.raises(ConfigError, match=r"\n--set: trial\.training\.lr: ") as caught:
        read_train_config(tmp_path / "run.yaml", ["trial.training.lr=x"])
    assert "run.yaml:1: corpus.train_dir" in str(caught.value)
