"""The presets follow the notes."""

import re
from pathlib import Path
from typing import Any

import pytest

from models import build_model, count_parameters
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import read_yaml, write_yaml
from spaces.reading.space_file import bundled_spaces
from trainable.config.needs import OWN_PARAMETERS
from trainable.config.reading import (
    PRESETS_FOLDER,
    STUDENTS,
    bundled_configs,
    preset_trees,
    read_preset_run,
    read_trial_config,
    summary_of,
)
from trainable.config.trial_config import TrialConfig

# Of the notes: family, hidden_dim, num_blocks, expansion_factor; and the parameters counted.
DEFAULT = ("mlp_mixer", 192, 6, 3, 2_667_392)
LARGE = ("mlp_mixer", 256, 8, 4, 7_366_592)
NARROW = ("mlp_mixer", 128, 12, 3, 2_719_104)
HYBRID = ("mlp_mixer_hybrid", 192, 6, 3, 4_448_384)
AUTOENCODER = ("mlp_mixer_autoencoder", 192, 6, 3, 3_215_568)
# Architecture, distillation, alpha, temperature, beta.
NOTES: dict[str, tuple[tuple[str, int, int, int, int], str, float | None, float | None, float]] = {
    "v1_mse": (DEFAULT, "mse", 0.5, 4.0, 0.0),
    "v2_cosine": (DEFAULT, "cosine", 0.7, None, 0.0),
    "v2_large": (LARGE, "cosine", 0.7, None, 0.0),
    "no_distillation": (DEFAULT, "none", None, None, 0.0),
    "p3_multistage": (DEFAULT, "cosine", 0.7, None, 0.0),
    "p4a_hybrid": (HYBRID, "cosine", 0.7, None, 0.0),
    "p4b_autoencoder": (AUTOENCODER, "cosine", 0.6, None, 0.2),
    "p4c_deep_narrow": (NARROW, "cosine", 0.7, None, 0.0),
    "p4c_wide_shallow": (LARGE, "cosine", 0.7, None, 0.0),
    "alpha_0": (DEFAULT, "none", None, None, 0.0),
    "alpha_0.3": (DEFAULT, "cosine", 0.3, None, 0.0),
    "alpha_0.5": (DEFAULT, "cosine", 0.5, None, 0.0),
    "alpha_0.7": (DEFAULT, "cosine", 0.7, None, 0.0),
    "temperature_2_mse": (DEFAULT, "mse", 0.5, 2.0, 0.0),
    "temperature_4_mse": (DEFAULT, "mse", 0.5, 4.0, 0.0),
    "temperature_8_mse": (DEFAULT, "mse", 0.5, 8.0, 0.0),
    "temperature_2_kl": (DEFAULT, "kl", 0.5, 2.0, 0.0),
    "temperature_4_kl": (DEFAULT, "kl", 0.5, 4.0, 0.0),
    "temperature_8_kl": (DEFAULT, "kl", 0.5, 8.0, 0.0),
}
TEACHERS = sorted(bundled_configs().keys() - set(STUDENTS))


def test_the_table_above_has_every_preset_in_order() -> None:
    assert tuple(NOTES) == STUDENTS == tuple(preset_trees())


@pytest.mark.parametrize("name", STUDENTS)
def test_a_preset_is_the_notes(name: str) -> None:
    (family, width, depth, expansion, _), distillation, alpha, temperature, beta = NOTES[name]
    trial = read_trial_config(name)
    loss: dict[str, Any] = trial.loss.canonical()
    model: Any = trial.model
    assert model.family == family
    assert (model.hidden_dim, model.num_blocks, model.expansion_factor) == (
        width,
        depth,
        expansion,
    )
    assert (model.groups, model.num_mels, model.embedding_dim) == (4, 80, 512)
    assert loss["distillation"] == distillation
    assert (loss.get("alpha"), loss.get("temperature"), loss["beta"]) == (alpha, temperature, beta)


@pytest.mark.parametrize("name", STUDENTS)
def test_a_preset_is_trained_as_in_the_notes(name: str) -> None:
    training = read_trial_config(name).training
    assert (training.max_epochs, training.batch_size, training.num_masks) == (100, 64, 0)
    assert training.crop_frames == 200  # 2 s in frames of 10 ms
    decays = (training.max_epochs - 1) // training.lr_decay_every_epochs
    assert training.lr == 0.001
    # "Learning rate decay working properly: 0.001 -> 0.000377", that of epochs 96 to 100.
    assert training.lr * training.lr_decay**decays == pytest.approx(0.000377, abs=5e-7)


@pytest.mark.parametrize("name", STUDENTS)
def test_a_presets_comment_states_its_true_size(name: str) -> None:
    num_params = NOTES[name][0][-1]
    assert count_parameters(build_model(read_trial_config(name).model)) == num_params
    text = bundled_configs()[name].read_text()
    assert f"# {num_params / 1e6:.2f}M parameters" in text


def test_multistage_has_the_weights_of_the_notes() -> None:
    loss = read_trial_config("p3_multistage").loss
    assert loss.stages == "cosine"
    assert loss.stage_weights == (0.5, 0.5, 1.0, 1.0, 1.5, 1.5, 2.0)
    others = (name for name in STUDENTS if name != "p3_multistage")
    assert {read_trial_config(name).loss.stages for name in others} == {"none"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alpha_0", "no_distillation"),
        ("alpha_0.7", "v2_cosine"),
        ("temperature_4_mse", "v1_mse"),
        ("p4c_wide_shallow", "v2_large"),
    ],
)
def test_two_names_of_one_config_have_one_hash(one: str, other: str) -> None:
    assert read_trial_config(one).recipe_hash() == read_trial_config(other).recipe_hash()
    assert f"which is {other}" in summary_of(one)


def test_no_other_presets_are_the_same() -> None:
    hashes = {read_trial_config(name).recipe_hash() for name in STUDENTS}
    assert len(hashes) == len(STUDENTS) - 4


def test_trees_give_the_configs_and_belong_to_the_caller() -> None:
    for name, tree in preset_trees().items():
        assert TrialConfig.model_validate(tree) == read_trial_config(name)
        tree["loss"]["alpha"] = 0.01
    assert preset_trees()["v1_mse"]["loss"]["alpha"] == 0.5


@pytest.mark.parametrize("name", bundled_configs())
def test_a_summary_is_a_sentence_of_its_own(name: str) -> None:
    first = bundled_configs()[name].read_text().splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith(".")


def test_students_name_their_part_of_the_notes() -> None:
    for summary in map(summary_of, STUDENTS):
        assert re.search(r'\("[^"]{2,}"(, [a-z0-9 ]+)?\)\.$', summary), summary
    assert summary_of("p4a_hybrid") == (
        'V2 with an LSTM in every block ("4A: Hybrid LSTM + MLP-Mixer").'
    )


@pytest.mark.parametrize("name", TEACHERS)
def test_teachers_have_no_distillation(name: str) -> None:
    assert read_trial_config(name).loss.distillation == "none"


def test_every_file_is_a_student_that_is_listed_or_a_teacher() -> None:
    files = set(PRESETS_FOLDER.rglob("*.yaml"))
    assert files == set(bundled_configs().values())
    assert {"teacher", "teacher_demo", "teacher_half"} <= set(TEACHERS)


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    places = {"train_dir": "a", "train_list": "b", "val_dir": "c", "val_list": "d"}
    write_yaml(tmp_path / "corpus.yaml", places)
    return tmp_path / "corpus.yaml"


def test_a_presets_run_has_absolute_paths(
    corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(corpus_file.parent)
    run = read_preset_run("v1_mse", Path("corpus.yaml"), Path("t"), ["model.hidden_dim=64"])
    assert run.corpus.train_dir == corpus_file.parent / "a"
    assert run.teacher == corpus_file.parent / "t"
    assert run.trial.model_dump()["model"]["hidden_dim"] == 64
    assert run.trial.loss.temperature == 4.0


def test_only_a_preset_that_distils_needs_a_teacher(corpus_file: Path) -> None:
    for name in ("no_distillation", "alpha_0"):
        assert read_preset_run(name, corpus_file, None).teacher is None
    with pytest.raises(ConfigError, match=r"v2_cosine distils .* cosine\), .* give --teacher"):
        read_preset_run("v2_cosine", corpus_file, None)
    assert read_preset_run("v2_cosine", corpus_file, None, ["loss.alpha=0"]).teacher is None


@pytest.mark.parametrize(
    ("name", "message"),
    [("v2_cosin", "got 'v2_cosin'; did you mean 'v2_cosine'"), ("teacher", "got 'teacher'")],
)
def test_an_unknown_preset_is_refused_with_the_nearest(
    corpus_file: Path, name: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_preset_run(name, corpus_file, None)


def test_the_space_of_the_notes_holds_every_preset_in_order() -> None:
    notes = read_yaml(bundled_spaces()["notes"]).data
    assert tuple(notes["presets"]) == STUDENTS
    assert notes["search"] == {
        "sampler": "grid",
        "scheduler": {"kind": "none"},
        "max_epochs": read_trial_config("v1_mse").training.max_epochs,
    }


def test_the_full_space_reaches_every_loss_of_every_mixer() -> None:
    full = read_yaml(bundled_spaces()["full"]).data
    assert set(full["start_from"]) <= set(STUDENTS)
    assert full["model"]["family"]["choices"] == [DEFAULT[0], HYBRID[0], AUTOENCODER[0]]
    # The mean squared error of unit vectors is the cosine term at another alpha.
    assert full["loss"]["distillation"]["choices"] == [x for x in OWN_PARAMETERS if x != "mse"]
    assert set().union(*OWN_PARAMETERS.values()) <= full["loss"].keys()
    assert full["loss"]["alpha"]["high"] + full["loss"]["beta"]["high"] < 1
    assert LARGE[-1] < full["limits"]["max_params"]


@pytest.mark.parametrize("name", [name for name in STUDENTS[:8] if name != "v1_mse"])
def test_the_full_space_contains_what_the_search_may_start_from(name: str) -> None:
    full = read_yaml(bundled_spaces()["full"]).data
    trial = read_trial_config(name).canonical()
    for part in ("model", "loss", "training"):
        for key, spec in full[part].items():
            value = trial[part].get(key)
            if isinstance(value, bool | str):
                assert value in spec["choices"], key
            elif value and "low" in spec:
                assert spec["low"] <= value <= spec["high"], key
