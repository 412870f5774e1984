"""Stored targets: the same outputs as the network's, computed once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models import LSTMAutoencoderConfig, build_model
from spaces.files.errors import CorpusError, TrainingError
from tests.worlds.small_teacher import BANK, CPU, CROP_FRAMES, STUDENT, TEACHER, drawn, opened
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.loss.objective import Objective
from trainable.teachers.network import Teacher, load_teacher
from trainable.teachers.stored import load_stored_teacher
from trainable.teachers.targets import StoredTargets
from trainable.training.trainer import Trainer


@pytest.fixture(scope="module")
def data(data_with_copies: TrainingData) -> TrainingData:
    return data_with_copies


def test_a_stored_output_is_the_networks_within_float16(
    targets: StoredTargets, data: TrainingData, teacher_file: Path
) -> None:
    crops = drawn(targets, data)
    stored = targets.output(crops, with_stages=True)
    expected = load_teacher(teacher_file).output(crops, with_stages=True)
    assert len(stored.stages) == len(expected.stages) == 3
    both = zip(
        (stored.embedding_BD, *stored.stages),
        (expected.embedding_BD, *expected.stages),
        strict=True,
    )
    for kept, own in both:
        # float16 has 11 significant bits.
        torch.testing.assert_close(kept, own, rtol=2**-11, atol=1e-6)
    alone = targets.output(crops, with_stages=False)
    assert torch.equal(alone.embedding_BD, stored.embedding_BD)
    assert alone.stages == ()


@pytest.mark.parametrize("distillation", ["mse", "cosine", "kl", "dkd", "rkd", "infonce"])
def test_stored_and_online_teachers_give_the_same_loss(
    distillation: str, targets: StoredTargets, data: TrainingData, teacher_file: Path
) -> None:
    loss = {"distillation": distillation, "stages": "cosine", "alpha": 0.7}
    config = TrialConfig.model_validate(STUDENT | {"loss": loss})
    crops = drawn(targets, data)
    speaker_B = torch.arange(len(crops.row_B)) % len(data.speakers)
    totals = []
    for teacher in (targets, load_teacher(teacher_file)):
        torch.manual_seed(0)
        student = build_model(config.model)
        objective = Objective(
            config.loss,
            student,
            teacher,
            speakers=data.speakers,
            probe_BTF=crops.feat_BTF[:1],
        )
        terms = objective(student, crops.feat_BTF, crops, speaker_B)
        terms["total"].backward()
        norm = torch.cat([p.grad.flatten() for p in student.parameters()]).norm()
        totals.append((terms["distillation"].item(), terms["total"].item(), norm.item()))
    assert totals[0] == pytest.approx(totals[1], rel=2e-3)
    assert totals[0] != totals[1]


def test_a_whole_epoch_with_stored_targets_is_that_with_the_network_on_the_same_crops(
    targets: StoredTargets, data: TrainingData, teacher_file: Path
) -> None:
    config = TrialConfig.model_validate(STUDENT | {"loss": {"distillation": "cosine"}})
    network = load_teacher(teacher_file)

    class OnBankCrops(Teacher):
        def draw_starts(self, *args: object) -> object:
            return targets.draw_starts(*args)  # type: ignore[arg-type]

    online = OnBankCrops(model=network.model, centres=network.centres)
    stored_report, online_report = (
        Trainer(config, data, teacher=teacher, device=CPU).run_epoch()
        for teacher in (targets, online)
    )
    assert stored_report.loss_total == pytest.approx(online_report.loss_total, rel=1e-3)
    assert stored_report.teacher_cosine == pytest.approx(online_report.teacher_cosine, abs=1e-3)


def test_a_copy_has_crops_and_outputs_of_its_own(
    targets: StoredTargets, data: TrainingData
) -> None:
    original, copy = data.copy_row[0]
    latest = targets.bank.latest(data.features.length[[original, copy]])
    numbers = targets.number_of_row[[original, copy]]
    starts = targets.bank.starts(numbers, latest)
    assert latest[0] == latest[1]
    assert not np.array_equal(starts[0], starts[1])
    feat_BTF = data.features.crops(np.array([original, copy]), np.zeros(2, np.int64), 90)
    # The noise of a copy may be weak.
    assert not torch.equal(feat_BTF[0], feat_BTF[1])


def test_a_crop_that_is_not_in_the_bank_is_refused(
    targets: StoredTargets, data: TrainingData
) -> None:
    crops = drawn(targets, data, 4)
    with pytest.raises(ValueError, match="one that is not stored"):
        targets.output(crops._replace(start_B=crops.start_B + 1), with_stages=False)
    validation = crops._replace(row_B=np.repeat(data.val_row[:1], 4))
    with pytest.raises(ValueError, match="one that is not stored"):
        targets.output(validation, with_stages=False)


def test_every_stored_crop_is_drawn_as_often(targets: StoredTargets, data: TrainingData) -> None:
    row_N = np.repeat(data.train_row[:1], 6_000)
    latest_N = targets.bank.latest(data.features.length[row_N])
    start_N = targets.draw_starts(np.random.default_rng(0), row_N, latest_N)
    _, counts = np.unique(start_N, return_counts=True)
    assert len(counts) == BANK.num_crops
    assert counts == pytest.approx(np.full(BANK.num_crops, 2_000), abs=150)


def test_what_does_not_fit_into_float16_is_refused_by_name(
    corpus: Path, data: TrainingData, teacher_file: Path
) -> None:
    state = torch.load(teacher_file, weights_only=True)
    weights = state["model_state_dict"]
    scale = next(n for n in weights if n.endswith("embedding_norm.weight"))
    weights[scale] = torch.full_like(weights[scale], 1e7)
    loud = teacher_file.with_name("loud.model")
    torch.save(state, loud)
    with pytest.raises(CorpusError, match=r"loud\.model: .*id00000/.* fit into float16 \(below"):
        opened(corpus, data, loud)


def test_facts_are_those_of_the_network_for_one_length(
    targets: StoredTargets, teacher_file: Path
) -> None:
    network = load_teacher(teacher_file).facts
    assert targets.facts.embedding_dim == network.embedding_dim == 24
    assert targets.facts.crop_frames == CROP_FRAMES
    assert targets.facts.has_stages
    assert targets.facts.centres is not None
    assert network.centres is not None
    assert torch.equal(targets.facts.centres.weight_KD, network.centres.weight_KD)
    config = LSTMAutoencoderConfig.model_validate(TEACHER["model"])
    online = Teacher(model=build_model(config))
    probe = torch.zeros(1, CROP_FRAMES, 80)
    assert targets.stage_dims(probe) == online.stage_dims(probe)


def test_an_epoch_draws_originals_and_copies_alike(data: TrainingData) -> None:
    rows = np.stack([data.drawn_rows(np.random.default_rng(n)) for n in range(200)])
    assert ((rows == data.copy_row[:, 0]) | (rows == data.copy_row[:, 1])).all()
    share = (rows == data.train_row).mean()
    assert share == pytest.approx(0.5, abs=0.03)


def test_a_file_of_embeddings_is_refused_for_augmented_copies(
    corpus: Path, data: TrainingData
) -> None:
    with pytest.raises(TrainingError, match=r"augmentation\.copies must be 0, got 1"):
        load_stored_teacher(corpus.parent / "teacher.parquet", data)


def test_stored_outputs_are_looked_up_ahead_of_the_step_and_a_networks_are_not(
    targets: StoredTargets, data: TrainingData, teacher_file: Path
) -> None:
    config = TrialConfig.model_validate(STUDENT | {"loss": {"stages": "cosine"}})
    crops = drawn(targets, data)
    for teacher, is_ahead in ((targets, True), (load_teacher(teacher_file), False)):
        trainer = Trainer(config, data, teacher=teacher, device=CPU)
        found = trainer.objective.with_teacher_output(crops).teacher_output
        assert (found is not None) == is_ahead
        if found is not None:
            expected = targets.output(crops, with_stages=True)
            assert torch.equal(found.embedding_BD, expected.embedding_BD)
            assert all(map(torch.equal, found.stages, expected.stages))
