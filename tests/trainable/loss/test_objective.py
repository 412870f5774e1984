"""The loss of a trial: what needs which teacher, what is summed, what only training holds."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models import build_model
from spaces.files.errors import TrainingError
from tests.worlds.tiny_models import LSTM, MIXER
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.loading import load_speaker_model
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.loss.distillation import EMBEDDING_LEVEL, LABEL_LEVEL
from trainable.loss.objective import Objective
from trainable.loss.teacher_output import Crops, SpeakerCentres
from trainable.report.epoch_report import EpochReport
from trainable.teachers.network import Teacher
from trainable.training.trainer import Trainer

CPU = torch.device("cpu")
SPEAKERS = ("a", "b", "c")
DEEP_MIXER = MIXER | {"num_blocks": 3}
TRAINING = {"batch_size": 8, "crop_frames": 40, "lr": 3e-3, "max_epochs": 3}


def config(**loss: object) -> TrialConfig:
    return TrialConfig.model_validate({"model": DEEP_MIXER, "training": TRAINING, "loss": loss})


def make_teacher(speakers: tuple[str, ...] = SPEAKERS) -> Teacher:
    torch.manual_seed(0)
    model = build_model(TrialConfig.model_validate({"model": LSTM}).model)
    weight_KD = torch.randn(len(speakers), 24)
    centres = SpeakerCentres(weight_KD=weight_KD, scale=30.0, speakers=speakers)
    return Teacher(model=model, centres=centres)


def crops_of(feat_BTF: torch.Tensor) -> Crops:
    nowhere_B = np.zeros(len(feat_BTF), np.int64)
    return Crops(feat_BTF, nowhere_B, nowhere_B)


def make_objective(teacher: Teacher | None, **loss: object) -> Objective:
    trial = config(**loss)
    return Objective(
        trial.loss,
        build_model(trial.model),
        teacher,
        speakers=SPEAKERS,
        probe_BTF=torch.randn(1, 40, 80),
    )


class TestEveryDistillationInTheLoop:
    """What the loop does with each kind of distillation, with and without stages."""

    @pytest.fixture(params=[*EMBEDDING_LEVEL, *LABEL_LEVEL])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(params=["none", "cosine"])
    def make_trainer(
        self, data: TrainingData, kind: str, request: pytest.FixtureRequest
    ) -> Callable[[float], Trainer]:
        def make(alpha: float) -> Trainer:
            trial = config(distillation=kind, stages=request.param, alpha=alpha)
            return Trainer(trial, data, teacher=make_teacher(data.speakers), device=CPU)

        return make

    @pytest.fixture
    def trainer(self, make_trainer: Callable[[float], Trainer]) -> Trainer:
        return make_trainer(0.6)

    def test_the_distillation_loss_falls(self, make_trainer: Callable[[float], Trainer]) -> None:
        # By itself: V1's mse beside a classification loss weighs next to nothing.
        trainer = make_trainer(1.0)
        # Distances in a small batch are noisy where nothing else is compared.
        loss = trainer.config.loss
        is_noisy = (loss.distillation, loss.stages) == ("rkd", "none")
        losses = [trainer.run_epoch().loss_distillation for _ in range(12 if is_noisy else 6)]
        assert sum(losses[-3:]) < 0.9 * sum(losses[:3])

    def test_shares_add_up_to_one(self, trainer: Trainer) -> None:
        report = trainer.run_epoch()
        assert report.distill_share == pytest.approx(
            0.6 * report.loss_distillation / report.loss_total
        )
        assert report.classification_share + report.distill_share == pytest.approx(1, rel=1e-5)

    def test_a_restored_run_continues_bit_for_bit(self, trainer: Trainer) -> None:
        twin = Trainer(
            trainer.config, trainer.data, teacher=make_teacher(trainer.data.speakers), device=CPU
        )
        trainer.run_epoch()
        twin.load_state(deepcopy(trainer.state()))
        assert twin.run_epoch().loss_total == trainer.run_epoch().loss_total


@pytest.mark.parametrize("kind", LABEL_LEVEL)
def test_labels_of_other_speakers_are_not_compared(kind: str) -> None:
    with pytest.raises(TrainingError, match=r"1 \(d\) only the teacher's, 1 \(c\) only the stud"):
        make_objective(make_teacher(("a", "b", "d")), distillation=kind)


@pytest.mark.parametrize("kind", LABEL_LEVEL)
def test_labels_need_the_teachers_classifier(kind: str) -> None:
    with pytest.raises(TrainingError, match=f"'{kind}' needs the teacher's classifier"):
        make_objective(replace(make_teacher(), centres=None), distillation=kind)


@pytest.mark.parametrize("kind", EMBEDDING_LEVEL)
def test_embeddings_need_neither_classifier_nor_the_same_speakers(kind: str) -> None:
    make_objective(replace(make_teacher(), centres=None), distillation=kind)
    make_objective(make_teacher(("x", "y")), distillation=kind)


def test_labels_are_compared_through_each_models_own_classifier() -> None:
    teacher = make_teacher()
    objective = make_objective(teacher, distillation="kl", temperature=1.0)
    student = build_model(config().model).eval()
    feat_BTF, speaker_B = torch.randn(4, 40, 80), torch.tensor([0, 1, 2, 0])
    terms = objective(student, feat_BTF, crops_of(feat_BTF), speaker_B)

    def log_probabilities(emb_BD: torch.Tensor, weight_KD: torch.Tensor) -> torch.Tensor:
        cosine_BK = torch.cosine_similarity(emb_BD[:, None], weight_KD[None], dim=-1)
        return (30.0 * cosine_BK).log_softmax(dim=1)

    taught = log_probabilities(teacher.model.embed(feat_BTF), teacher.centres.weight_KD)
    learnt = log_probabilities(student.embed(feat_BTF), objective.classifier.weight)
    expected = (taught.exp() * (taught - learnt)).sum(dim=1).mean()
    torch.testing.assert_close(terms["distillation"], expected)


def stage_report(data: TrainingData, **loss: object) -> EpochReport:
    settings = {"stages": "cosine", "alpha": 0.6} | loss
    trainer = Trainer(
        config(**settings), data, teacher=make_teacher(data.speakers), device=CPU
    )
    return trainer.run_epoch()


def test_multi_stage_distillation_is_the_weighted_mean_of_the_stages(data: TrainingData) -> None:
    report = stage_report(data)
    # The notes' weights, stretched from seven stages to three blocks and the embedding.
    weights = [0.5 / 5, 1 / 5, 1.5 / 5, 2 / 5]
    assert report.loss_stages is not None
    assert report.stage_shares is not None
    expected = sum(w * loss for w, loss in zip(weights, report.loss_stages, strict=True))
    assert report.loss_distillation == pytest.approx(expected, rel=1e-5)
    assert report.loss_stages[-1] == pytest.approx(1 - report.teacher_cosine, rel=1e-5)
    assert report.stage_shares[1] == pytest.approx(
        0.6 * weights[1] * report.loss_stages[1] / report.loss_total
    )
    assert sum(report.stage_shares) == pytest.approx(report.distill_share, rel=1e-5)


def test_the_embedding_is_the_stage_that_distillation_names(data: TrainingData) -> None:
    plain = config(distillation="rkd", alpha=0.6)
    teacher = make_teacher(data.speakers)
    alone = Trainer(plain, data, teacher=teacher, device=CPU).objective
    staged = Trainer(
        config(distillation="rkd", alpha=0.6, stages="cosine"), data, teacher=teacher, device=CPU
    ).objective
    student = build_model(plain.model).eval()
    feat_BTF, speaker_B = torch.randn(6, 40, 80), torch.arange(6)
    torch.testing.assert_close(
        staged(student, feat_BTF, crops_of(feat_BTF), speaker_B)["stage_4"],
        alone(student, feat_BTF, crops_of(feat_BTF), speaker_B)["distillation"],
    )


def test_weight_only_on_the_embedding_is_distillation_without_stages(data: TrainingData) -> None:
    staged = stage_report(data, stage_weights=[0, 0, 0, 1])
    plain = stage_report(data, stages="none")
    assert staged.loss_total == pytest.approx(plain.loss_total, rel=1e-5)
    assert staged.stage_shares[:3] == (0, 0, 0)


def test_projections_are_trained_and_kept_but_are_no_part_of_the_student(
    data: TrainingData, tmp_path: Path
) -> None:
    trainer = Trainer(
        config(stages="cosine"), data, teacher=make_teacher(data.speakers), device=CPU
    )
    before = trainer.objective.projections[2].weight.clone()
    trainer.run_epoch()
    # Of three blocks with 16 channels two learn from an LSTM layer of 16, one from a bottleneck.
    weights = trainer.state()["model_state_dict"]
    names = {name for name in weights if name.startswith("__P__.")}
    assert names == {"__P__.2.weight", "__P__.2.bias"}
    assert weights["__P__.2.weight"].shape == (12, 16)
    assert not torch.equal(trainer.objective.projections[2].weight, before)
    loaded = load_speaker_model(CheckpointFolder(tmp_path).save(trainer)).model
    plain = Trainer(config(), data, teacher=make_teacher(data.speakers), device=CPU)
    assert loaded.state_dict().keys() == plain.model.state_dict().keys()
    assert trainer.num_params == plain.num_params


def test_multi_stage_distillation_leaves_the_drawn_weights_as_they_are(data: TrainingData) -> None:
    teacher = make_teacher(data.speakers)
    staged = Trainer(config(stages="cosine"), data, teacher=teacher, device=CPU)
    plain = Trainer(config(), data, teacher=teacher, device=CPU)
    assert torch.equal(staged.objective.classifier.weight, plain.objective.classifier.weight)
    for one, other in zip(staged.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_stage_weights_that_vanish_at_the_students_depth_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"loss.stage_weights must not all be 0 at 4 stages"):
        make_objective(make_teacher(), stages="cosine", stage_weights=[0, 0, 0, 1, 0, 0, 0])


def test_a_teacher_without_stages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = make_teacher()
    monkeypatch.setattr(
        type(teacher.model), "embed_stages", lambda self, feat_BTF: (self.embed(feat_BTF),)
    )
    with pytest.raises(TrainingError, match="'cosine' needs a teacher with stages"):
        make_objective(teacher, stages="cosine")
