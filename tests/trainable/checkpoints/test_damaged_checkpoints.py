"""Model files that were truncated, changed or exchanged are refused, or set aside and replaced."""

import subprocess
from pathlib import Path

import pytest
import torch

from spaces.files.digest import digest_path
from spaces.files.errors import CheckpointError, DamagedError
from tests.damage import DAMAGES, flip_bit
from tests.worlds.tiny_models import TINY_MIXER
from trainable.checkpoints.folder import CheckpointFolder, resolve_model_file
from trainable.checkpoints.loading import load_classifier, load_speaker_model
from trainable.checkpoints.model_file import read_checkpoint
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.report.epoch_report import TIMING_FIELDS, EpochReport
from trainable.training.trainer import Trainer

CONFIG = TrialConfig.model_validate(TINY_MIXER)


def fresh(data: TrainingData) -> Trainer:
    return Trainer(CONFIG, data, device=torch.device("cpu"))


def trained(data: TrainingData, folder: CheckpointFolder, epochs: int) -> Trainer:
    """A run of so many epochs, the first of which is the best."""
    trainer = fresh(data)
    for epoch in range(epochs):
        report = trainer.run_epoch()
        trainer.history[-1] = report.model_copy(update={"veer_pct": 10.0 + epoch})
        folder.save(trainer)
    return trainer


def untimed(report: EpochReport) -> EpochReport:
    return report.model_copy(update=dict.fromkeys(TIMING_FIELDS, 0.0))


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "run")


def test_sha256sum_checks_the_digests(data: TrainingData, folder: CheckpointFolder) -> None:
    trained(data, folder, 2)
    for epoch in folder.epochs():
        name = digest_path(folder.file_of(epoch)).name
        done = subprocess.run(
            ["sha256sum", "--check", name], cwd=folder.folder, capture_output=True, check=False
        )
        assert done.stdout == f"model{epoch:09d}.model: OK\n".encode()


def test_a_digest_goes_with_its_file(data: TrainingData, folder: CheckpointFolder) -> None:
    trained(data, folder, 3)
    names = {file.name for file in folder.folder.iterdir()}
    kept = {"model000000001.model", "model000000003.model"}
    assert names == kept | {f"{name}.sha256" for name in kept}
    folder.delete_weights()
    assert list(folder.folder.iterdir()) == []


def test_a_flipped_bit_in_a_weight_is_refused(
    data: TrainingData, folder: CheckpointFolder
) -> None:
    trained(data, folder, 1)
    file = folder.file_of(1)
    content = bytearray(file.read_bytes())
    weights = read_checkpoint(file)["model_state_dict"]
    first = weights["__L__.weight"].numpy().tobytes()
    content[bytes(content).index(first)] ^= 1
    file.write_bytes(content)
    # What the digest is for: torch itself takes the altered weight.
    altered = torch.load(file, weights_only=True)["model_state_dict"]["__L__.weight"]
    assert not torch.equal(altered, weights["__L__.weight"])
    for read in (read_checkpoint, load_speaker_model, load_classifier):
        with pytest.raises(
            DamagedError, match=r"model000000001\.model: damaged: its SHA-256 .* restore it"
        ):
            read(file)


def test_a_file_without_a_digest_is_read_as_it_is(
    data: TrainingData, folder: CheckpointFolder
) -> None:
    trained(data, folder, 1)
    digest_path(folder.file_of(1)).unlink()
    assert load_speaker_model(folder.file_of(1)).epoch == 1


@pytest.mark.parametrize("text", ["", "0123  model000000001.model\n", "\0\0\0\0"])
def test_a_damaged_digest_is_refused_with_the_fix(
    data: TrainingData, folder: CheckpointFolder, text: str
) -> None:
    trained(data, folder, 1)
    digest_path(folder.file_of(1)).write_text(text)
    with pytest.raises(DamagedError, match=r"\.model\.sha256: must hold one line, .* or move "):
        read_checkpoint(folder.file_of(1))


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_newest_file_is_passed_over_and_its_epochs_come_out_the_same(
    data: TrainingData, folder: CheckpointFolder, name: str
) -> None:
    undisturbed = trained(data, folder, 3)
    DAMAGES[name](folder.file_of(3))
    again = fresh(data)
    (sentence,) = folder.restore(again)
    assert sentence.startswith(f"{folder.file_of(3)}: damaged: its SHA-256 must be ")
    assert sentence.endswith("the run continues from epoch 1")
    assert again.epoch == 1
    for epoch in (1, 2):
        report = again.run_epoch()
        again.history[-1] = report.model_copy(update={"veer_pct": 10.0 + epoch})
    assert [untimed(each) for each in again.history] == [
        untimed(each) for each in undisturbed.history
    ]
    mine, theirs = again.model.state_dict(), undisturbed.model.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_without_a_whole_file_training_begins_again(
    data: TrainingData, folder: CheckpointFolder
) -> None:
    undisturbed = trained(data, folder, 3)
    for epoch in folder.epochs():
        flip_bit(folder.file_of(epoch))
    again = fresh(data)
    damages = folder.restore(again)
    assert len(damages) == 2
    assert all(each.endswith("the run starts again") for each in damages)
    assert again.epoch == 0
    assert folder.epochs() == []
    first = again.run_epoch().model_copy(update={"veer_pct": 10.0})
    assert untimed(first) == untimed(undisturbed.history[0])


def test_a_damaged_file_is_met_once_and_takes_bounded_room(
    data: TrainingData, folder: CheckpointFolder
) -> None:
    trained(data, folder, 2)
    for _ in range(3):
        again = fresh(data)
        flip_bit(folder.file_of(2))
        assert len(folder.restore(again)) == 1
        assert folder.restore(fresh(data)) == []
        again.run_epoch()
        again.history[-1] = again.history[-1].model_copy(update={"veer_pct": 11.0})
        folder.save(again)
    assert [file.name for file in folder.folder.glob("*.damaged")] == [
        "model000000002.model.damaged"
    ]
    folder.delete_weights()
    assert list(folder.folder.iterdir()) == []


def test_a_file_under_another_epochs_name_is_refused(
    data: TrainingData, folder: CheckpointFolder
) -> None:
    trained(data, folder, 2)
    exchanged = folder.file_of(7)
    exchanged.write_bytes(folder.file_of(2).read_bytes())
    with pytest.raises(DamagedError, match=r"model000000007\.model: holds epoch 2, not the one"):
        read_checkpoint(exchanged)
    own_name = exchanged.rename(exchanged.with_name("mine.model"))
    assert read_checkpoint(own_name)["epoch"] == 2


def test_a_history_that_does_not_fit_the_epoch_is_refused(
    data: TrainingData, folder: CheckpointFolder
) -> None:
    trained(data, folder, 2)
    file = folder.file_of(2)
    state = read_checkpoint(file)
    del state["veer"]["history"][0]
    digest_path(file).unlink()
    torch.save(state, file)
    with pytest.raises(DamagedError, match=r"holds epoch 2, but a history of epochs \[2\]"):
        read_checkpoint(file)


def test_weights_that_do_not_fit_are_refused_on_restoring(
    data: TrainingData, folder: CheckpointFolder
) -> None:
    trained(data, folder, 1)
    file = folder.file_of(1)
    state = read_checkpoint(file)
    del state["model_state_dict"]["__L__.weight"]
    digest_path(file).unlink()
    torch.save(state, file)
    with pytest.raises(CheckpointError, match=r"do not fit: (.|\n)*\"weight\""):
        folder.restore(fresh(data))


def test_another_epoch_never_stands_in_for_the_best(
    data: TrainingData, folder: CheckpointFolder
) -> None:
    trained(data, folder, 3)
    folder.file_of(1).unlink()
    with pytest.raises(
        CheckpointError, match=r"model000000001\.model: the best epoch's file is missing"
    ):
        resolve_model_file(folder.folder.parent)


def test_a_folder_in_a_files_place_is_refused(
    data: TrainingData, folder: CheckpointFolder
) -> None:
    folder.file_of(4).mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"cannot be opened .* make it a readable file"):
        folder.restore(fresh(data))
