"""Model files: what is kept, what comes back, what is refused."""

from pathlib import Path

import pytest
import torch

from spaces.files.digest import digest_path, file_sha256
from spaces.files.errors import CheckpointError
from tests.worlds.tiny_models import TINY_MIXER
from trainable.checkpoints.folder import CheckpointFolder, resolve_model_file
from trainable.checkpoints.loading import load_speaker_model
from trainable.checkpoints.model_file import read_checkpoint
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.training.trainer import Trainer

CONFIG = TrialConfig.model_validate(TINY_MIXER)


@pytest.fixture
def trainer(data: TrainingData) -> Trainer:
    return Trainer(CONFIG, data, device=torch.device("cpu"))


def pretend(trainer: Trainer, veer_pct: float) -> None:
    """Run an epoch and overwrite its VEER."""
    report = trainer.run_epoch()
    trainer.history[-1] = report.model_copy(update={"veer_pct": veer_pct})


def test_the_best_and_the_last_epoch_are_kept(trainer: Trainer, tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "run")
    for veer_pct in (9.0, 5.0, 7.0, 6.0):
        pretend(trainer, veer_pct)
        folder.save(trainer)
    assert folder.epochs() == [2, 4]
    assert resolve_model_file(tmp_path / "run").name == "model000000002.model"


def test_a_loaded_model_gives_the_saved_models_embeddings(
    trainer: Trainer, tmp_path: Path
) -> None:
    trainer.run_epoch()
    file = CheckpointFolder(tmp_path / "run").save(trainer)
    loaded = load_speaker_model(file)
    feat_BTF = torch.randn(2, 40, 80)
    assert torch.equal(loaded.model.embed(feat_BTF), trainer.model.eval().embed(feat_BTF))
    assert loaded.config == CONFIG
    assert loaded.epoch == 1
    assert loaded.history[0]["veer_pct"] == trainer.history[0].veer_pct
    assert loaded.speakers == trainer.data.speakers


def test_files_have_the_trainers_layout(trainer: Trainer, tmp_path: Path) -> None:
    trainer.run_epoch()
    file = CheckpointFolder(tmp_path).save(trainer)
    assert file == tmp_path / "model" / "model000000001.model"
    state = torch.load(file, weights_only=True)
    assert {"model_state_dict", "optimizer_state_dict", "scheduler_state_dict", "epoch"} < set(
        state
    )
    assert {name[:6] for name in state["model_state_dict"]} == {"__S__.", "__L__."}


def test_restoring_continues_from_the_newest_file(trainer: Trainer, tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    fresh = Trainer(CONFIG, trainer.data, device=torch.device("cpu"))
    assert folder.restore(fresh) == []
    assert fresh.epoch == 0
    trainer.run_epoch()
    folder.save(trainer)
    assert folder.restore(fresh) == []
    assert fresh.epoch == 1
    assert fresh.history == trainer.history


def test_deleting_weights_leaves_no_model_file(trainer: Trainer, tmp_path: Path) -> None:
    trainer.run_epoch()
    folder = CheckpointFolder(tmp_path)
    folder.save(trainer)
    folder.delete_weights()
    assert folder.epochs() == []
    with pytest.raises(CheckpointError, match="neither a model file nor a folder"):
        resolve_model_file(tmp_path)


@pytest.mark.parametrize("size", [0, 10, 2000])
def test_a_truncated_file_is_refused_by_name(trainer: Trainer, tmp_path: Path, size: int) -> None:
    trainer.run_epoch()
    file = CheckpointFolder(tmp_path).save(trainer)
    digest_path(file).unlink()  # as beside a file that a user copied
    with file.open("r+b") as stream:
        stream.truncate(size)
    with pytest.raises(CheckpointError, match=r"model000000001.model: not a readable model file"):
        read_checkpoint(file)


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "boom",)  # type: ignore[return-value]

    torch.save({"model_state_dict": Bomb()}, tmp_path / "bomb.model")
    with pytest.raises(CheckpointError, match=r"bomb.model: not a readable model file"):
        read_checkpoint(tmp_path / "bomb.model")
    assert not (tmp_path / "boom").exists()


def test_weights_of_another_model_are_refused(trainer: Trainer, tmp_path: Path) -> None:
    trainer.run_epoch()
    file = CheckpointFolder(tmp_path).save(trainer)
    state = torch.load(file, weights_only=True)
    state["veer"]["config"]["model"]["hidden_dim"] = 32
    torch.save(state, file)
    digest_path(file).unlink()
    with pytest.raises(CheckpointError, match="weights and config do not fit"):
        load_speaker_model(file)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.model")
    with pytest.raises(CheckpointError, match="a file of PyTorch of another program"):
        read_checkpoint(tmp_path / "other.model")


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
