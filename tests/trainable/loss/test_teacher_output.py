"""A teacher from a model file, and its output for crops."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models import MLPMixerConfig, build_model
from spaces.files.digest import write_digest
from spaces.files.errors import CheckpointError, TrainingError
from tests.worlds.tiny_models import LSTM
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.loss.teacher_output import SpeakerCentres
from trainable.teachers.network import Teacher, load_teacher
from trainable.training.trainer import Trainer

CPU = torch.device("cpu")
CONFIG = TrialConfig.model_validate(
    {
        "model": LSTM | {"num_layers": 2},
        "loss": {"distillation": "none", "scale": 17.0},
        "training": {"batch_size": 8, "crop_frames": 40},
    }
)


@pytest.fixture
def trainer(data: TrainingData) -> Trainer:
    trainer = Trainer(CONFIG, data, device=CPU)
    trainer.run_epoch()
    return trainer


@pytest.fixture
def file(trainer: Trainer, tmp_path: Path) -> Path:
    return CheckpointFolder(tmp_path).save(trainer)


def centres(*speakers: str) -> SpeakerCentres:
    weight_KD = torch.eye(len(speakers))
    return SpeakerCentres(weight_KD=weight_KD, scale=5.0, speakers=speakers)


def test_a_teacher_is_read_with_its_classifier(trainer: Trainer, file: Path) -> None:
    teacher = load_teacher(file)
    feat_BTF = torch.randn(3, 40, 80)
    teacher_output = teacher.embed(feat_BTF)
    torch.testing.assert_close(teacher_output.embedding_BD, trainer.model.eval().embed(feat_BTF))
    assert teacher.centres is not None
    assert teacher.centres.scale == 17.0
    assert teacher.centres.speakers == trainer.data.speakers
    assert torch.equal(teacher.centres.weight_KD, trainer.objective.classifier.weight)


def test_a_teacher_is_frozen(file: Path) -> None:
    teacher = load_teacher(file)
    assert not any(parameter.requires_grad for parameter in teacher.model.parameters())
    assert not teacher.model.training
    assert not teacher.embed(torch.randn(2, 40, 80)).embedding_BD.requires_grad


def test_stages_come_pooled_on_request(file: Path) -> None:
    teacher = load_teacher(file)
    feat_BTF = torch.randn(3, 40, 80)
    assert teacher.embed(feat_BTF).stages == ()
    teacher_output = teacher.embed(feat_BTF, with_stages=True)
    assert [stage_BC.shape for stage_BC in teacher_output.stages] == [(3, 16), (3, 16), (3, 12)]
    first_BTC = teacher.model(feat_BTF, with_stages=True).stages[0]
    assert torch.equal(teacher_output.stages[0], first_BTC.mean(dim=1))
    assert torch.equal(teacher_output.embedding_BD, teacher.embed(feat_BTF).embedding_BD)


def test_a_teacher_of_fixed_length_sees_longer_crops_in_windows() -> None:
    config = MLPMixerConfig(hidden_dim=8, num_blocks=2, num_frames=40, embedding_dim=24)
    teacher = Teacher(model=build_model(config))
    feat_BTF = torch.randn(2, 80, 80)
    whole = teacher.embed(feat_BTF, with_stages=True)
    halves = [teacher.embed(half, with_stages=True) for half in feat_BTF.split(40, dim=1)]
    for stage, (one, other) in zip(
        whole.stages, zip(*(half.stages for half in halves), strict=True), strict=True
    ):
        torch.testing.assert_close(stage, (one + other) / 2)
    mean_BD = (halves[0].embedding_BD + halves[1].embedding_BD) / 2
    torch.testing.assert_close(whole.embedding_BD, mean_BD)


def save_again(state: dict[str, Any], file: Path) -> None:
    """Write a state that the trainer did not, with its digest."""
    torch.save(state, file)
    write_digest(file, file)


def test_a_file_without_classifier_is_a_teacher_of_embeddings(file: Path) -> None:
    state = torch.load(file, weights_only=True)
    del state["model_state_dict"]["__L__.weight"]
    save_again(state, file)
    assert load_teacher(file).centres is None


def test_a_classifier_of_other_speakers_than_the_files_is_refused(file: Path) -> None:
    state = torch.load(file, weights_only=True)
    state["veer"]["speakers"].append("one more")
    save_again(state, file)
    with pytest.raises(CheckpointError, match=r"be 7 speakers by 24 dimensions, got \(6, 24\)"):
        load_teacher(file)


def test_logits_are_scaled_cosines() -> None:
    logits_BK = centres("a", "b").logits(torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(logits_BK, torch.tensor([[5 * 0.6, 5 * 0.8]]))


def test_centres_follow_the_students_order_of_speakers() -> None:
    turned = centres("a", "b", "c").of(("c", "a", "b"))
    assert turned.speakers == ("c", "a", "b")
    assert torch.equal(turned.weight_KD, torch.eye(3)[[2, 0, 1]])


def test_centres_of_other_speakers_are_refused_with_names() -> None:
    with pytest.raises(TrainingError, match=r"same speakers: 1 \(b\) only the teacher's, none "):
        centres("a", "b").of(("a",))
    with pytest.raises(TrainingError, match=r"none only the teacher's, 4 \(b, c, d, ...\) only"):
        centres("a").of(("a", "b", "c", "d", "e"))
