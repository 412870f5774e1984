"""A student from the user's own file, through the commands and in a worker."""

import sys
from pathlib import Path

import pytest

from models.user_code import allow_code, is_code_allowed
from spaces.files.errors import ConfigError, VeerError
from spaces.files.yaml_file import write_yaml
from tests.search.commands import veer
from tests.worlds.own_student import REFUSED, TRIAL, User
from trainable.checkpoints.loading import load_speaker_model
from trainable.corpus.corpus import read_corpus_config
from trainable.training.ray_trial import build_trainer
from trainable.training.trial_task import TrialTask


@pytest.fixture
def run_file(user: User, tiny_world: Path) -> Path:
    corpus = read_corpus_config(tiny_world / "corpus" / "corpus.yaml").model_dump(mode="json")
    config = {"corpus": corpus, "teacher": str(tiny_world / "teacher"), "trial": TRIAL}
    write_yaml(user.folder / "run.yaml", config)
    return user.folder / "run.yaml"


def test_a_student_of_ones_own_is_trained_continued_and_evaluated(
    user: User, run_file: Path, tiny_world: Path, tmp_path: Path
) -> None:
    out = tmp_path / "student"
    with pytest.raises(ConfigError, match=REFUSED):
        veer("train", run_file, "--out", out)
    assert not out.exists()
    assert user.num_imports == 0

    trained = veer("train", run_file, "--out", out, "--allow-code")
    assert trained.exit_code == 0, trained.output
    assert "mine.net:Net" in trained.output
    assert "epoch   2" in trained.output
    further = veer("train", run_file, "--out", out, "--epochs", 3, "--allow-code")
    assert "continued from epoch 2" in further.output
    assert user.num_imports == 1

    user.forget()
    lists = tiny_world / "corpus"
    scoring = ("evaluate", out, "--pairs", lists / "veri_val.txt", "--root", lists / "val")
    with pytest.raises(ConfigError, match=REFUSED):
        veer(*scoring)
    assert user.num_imports == 1
    scored = veer(*scoring, "--eval-frames", 60, "--allow-code")
    assert scored.output.count("minDCF") == 2


def test_a_teacher_of_ones_own_needs_permission_before_anything_is_read(
    user: User, tiny_world: Path, tmp_path: Path
) -> None:
    corpus, out = tiny_world / "corpus" / "corpus.yaml", tmp_path / "teacher"
    write_yaml(tmp_path / "teacher.yaml", TRIAL | {"loss": {"distillation": "none"}})
    training = ("teacher", "train", tmp_path / "teacher.yaml", "--corpus", corpus, "--out", out)
    with pytest.raises(ConfigError, match=REFUSED):
        veer(*training)
    assert veer(*training, "--allow-code").exit_code == 0

    user.forget()
    trial = TRIAL | {"model": {"family": "lstm_autoencoder", "embedding_dim": 32}}
    where = read_corpus_config(corpus).model_dump(mode="json")
    write_yaml(tmp_path / "run.yaml", {"corpus": where, "teacher": str(out), "trial": trial})
    with pytest.raises(ConfigError, match=rf"teacher .*model000000002.model .*{REFUSED}"):
        veer("train", tmp_path / "run.yaml", "--out", tmp_path / "student")
    assert not (tmp_path / "student").exists()
    assert user.num_imports == 1


def test_a_model_file_is_not_loaded_without_permission(
    user: User, run_file: Path, tmp_path: Path
) -> None:
    assert veer("train", run_file, "--out", tmp_path / "out", "--allow-code").exit_code == 0
    user.forget()
    sys.path.append(str(user.folder))  # so that Python would find it
    before = user.num_imports
    with pytest.raises(ConfigError, match=REFUSED):
        load_speaker_model(tmp_path / "out")
    assert user.num_imports == before
    allow_code(user.folder)
    assert load_speaker_model(tmp_path / "out").model.embedding_dim == 32
    assert user.num_imports == before + 1


@pytest.mark.usefixtures("user")
def test_a_reconstruction_that_the_model_does_not_give_is_refused(
    run_file: Path, tmp_path: Path
) -> None:
    beta = ("--set", "trial.loss.beta=0.1")
    with pytest.raises(VeerError, match=r"loss.beta needs a model that rebuilds.* beta=0.1 .*Net"):
        veer("train", run_file, "--out", tmp_path / "out", "--allow-code", *beta)


def test_a_worker_is_allowed_only_by_its_task(
    user: User, tiny_world: Path, tmp_path: Path
) -> None:
    task = TrialTask(
        trial=0,
        config=TRIAL | {"loss": {"distillation": "none"}},
        folder=tmp_path / "trial",
        corpus=read_corpus_config(tiny_world / "corpus" / "corpus.yaml"),
        cache_dir=tiny_world / "cache",
        teacher=None,
        device="cpu",
        num_threads=1,
        num_gpus=0,
    )
    with pytest.raises(ConfigError, match=REFUSED):
        build_trainer(task)
    assert not is_code_allowed()
    allowed = task.model_copy(update={"code_root": user.folder})
    trainer = build_trainer(TrialTask.model_validate(allowed.model_dump(mode="json")))
    # Two linear layers.
    assert trainer.num_params == (80 + 1) * 12 + (12 + 1) * 32
