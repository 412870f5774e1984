"""The recipe in an exported config: only comments, true values, settings that can be set."""

from pathlib import Path

import pytest

from results.export.recipe import STEPS, recipe_comments
from spaces.files.overrides import apply_overrides
from spaces.files.yaml_file import load_model, read_yaml, write_yaml
from trainable.config.trial_config import TrainRunConfig, TrialConfig
from trainable.corpus.corpus import CorpusConfig

CORPUS = CorpusConfig(
    train_dir=Path("a"), train_list=Path("b"), val_dir=Path("c"), val_list=Path("d")
)


def searched(family: str) -> TrialConfig:
    tree = {"model": {"family": family}, "loss": {"distillation": "none"}}
    return TrialConfig.model_validate(tree | {"training": {"lr": 0.0025, "max_epochs": 27}})


def test_it_has_what_the_search_used() -> None:
    text = recipe_comments(searched("resnet_se34l"), CORPUS)
    assert all(line.startswith("#") and len(line) < 120 for line in text.splitlines())
    assert "27 epochs" in text
    assert "trial.training.lr=0.1" in text
    line = next(line for line in text.splitlines() if "training.lr=" in line)
    assert "search: 0.0025;" in line
    assert "last_phase_crop_frames=600" in text
    assert "last_phase_crop_frames" not in recipe_comments(searched("mlp_mixer"), CORPUS)
    stored = recipe_comments(searched("resnet_se34l"), CORPUS, has_stored_teacher=True)
    assert set(text.splitlines()) - set(stored.splitlines()) == {
        line for line in text.splitlines() if "speed_factors" in line
    }


@pytest.mark.parametrize("family", ["resnet_se34l", "mlp_mixer"])
def test_every_line_can_be_given_to_set(family: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    config = TrainRunConfig(corpus=CORPUS, trial=searched(family))
    write_yaml(file, config.model_dump(mode="json", exclude_none=True))
    comments = recipe_comments(config.trial, CORPUS)
    file.write_text(comments + file.read_text())
    assert load_model(TrainRunConfig, read_yaml(file)) == config
    words = [line.split()[1] for line in comments.splitlines() if "search:" in line]
    # One of the two averages, as its line says.
    assert "with ema_epochs=0;" in comments
    chosen = [word for word in words if "ema_epochs" not in word]
    chosen.append("trial.training.ema_epochs=0")
    found = load_model(TrainRunConfig, apply_overrides(read_yaml(file), chosen))
    assert found.corpus.speed_factors == (0.9, 1.1)
    assert found.trial.training.average_last == 10
    assert len(words) >= len(STEPS) - 1
