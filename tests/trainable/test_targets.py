"""Stored targets: the same lessons as the network's, asked for once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models import LSTMAutoencoderConfig, build_model
from tests.conftest import write_corpus
from trainable.checkpoint import CheckpointFolder
from trainable.config import TrialConfig
from trainable.corpus import read_corpus_config
from trainable.crop_bank import CropBank
from trainable.data import TrainingData, load_training_data
from trainable.errors import CheckpointError, CorpusError, TrainingError
from trainable.objective import Objective
from trainable.store.tasks import ShardTask, build_shards
from trainable.stored_teacher import load_stored_teacher
from trainable.targets import StoredTargets, open_targets
from trainable.teacher import Crops, Teacher, load_teacher
from trainable.training import Trainer

CROP_FRAMES = 40
BANK = CropBank(num_crops=3, crop_frames=CROP_FRAMES, seed=4)
TEACHER = {
    "model": {
        "family": "lstm_autoencoder",
        "hidden_dim": 16,
        "num_layers": 2,
        "bottleneck_dim": 12,
        "embedding_dim": 24,
    },
    "loss": {"distillation": "none"},
    "training": {"max_epochs": 1, "batch_size": 8, "crop_frames": CROP_FRAMES},
}
STUDENT = {
    "model": {
        "family": "mlp_mixer",
        "hidden_dim": 16,
        "num_blocks": 2,
        "num_frames": CROP_FRAMES,
        "embedding_dim": 24,
    },
    "training": {"max_epochs": 1, "batch_size": 8, "crop_frames": CROP_FRAMES},
}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With one augmented copy of every training utterance, and one that is shorter than a crop."""
    folder = tmp_path_factory.mktemp("targets")
    file = write_corpus(folder)
    file.write_text(file.read_text() + "augmentation: {copies: 1}\nmin_duration_s: 0.2\n")
    return file


@pytest.fixture(scope="module")
def data(corpus: Path) -> TrainingData:
    return load_training_data(read_corpus_config(corpus), cache_dir=corpus.parent / "cache")


@pytest.fixture(scope="module")
def teacher_file(corpus: Path, data: TrainingData) -> Path:
    trainer = Trainer(TrialConfig.model_validate(TEACHER), data, device=CPU)
    trainer.run_epoch()
    return CheckpointFolder(corpus.parent / "teacher").save(trainer)


@pytest.fixture(scope="module")
def targets(corpus: Path, data: TrainingData, teacher_file: Path) -> StoredTargets:
    return opened(corpus, data, teacher_file)


def opened(
    corpus: Path, data: TrainingData, teacher: Path, bank: CropBank = BANK, told: list[int] = []  # noqa: B006
) -> StoredTargets:
    return open_targets(
        teacher,
        data,
        bank,
        cache_dir=corpus.parent / "cache",
        progress=lambda done, _: told.append(done),
    )


def drawn(targets: StoredTargets, data: TrainingData, num_crops: int = 16) -> Crops:
    """Crops of originals and copies, as the loop draws them."""
    rng = np.random.default_rng(3)
    row_B = rng.choice(data.copy_row.ravel(), num_crops)
    latest_B = targets.bank.latest(data.features.length[row_B])
    start_B = targets.draw_starts(rng, row_B, latest_B)
    return Crops(data.features.crops(row_B, start_B, CROP_FRAMES), row_B, start_B)


def test_a_stored_lesson_is_the_networks_within_float16(
    targets: StoredTargets, data: TrainingData, teacher_file: Path
) -> None:
    crops = drawn(targets, data)
    stored = targets.lesson(crops, with_stages=True)
    said = load_teacher(teacher_file).lesson(crops, with_stages=True)
    assert len(stored.stages) == len(said.stages) == 3
    both = zip(
        (stored.embedding_BD, *stored.stages), (said.embedding_BD, *said.stages), strict=True
    )
    for kept, own in both:
        # float16 has 11 significant bits.
        torch.testing.assert_close(kept, own, rtol=2**-11, atol=1e-6)
    alone = targets.lesson(crops, with_stages=False)
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


def test_the_teacher_is_asked_once(
    corpus: Path, data: TrainingData, teacher_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    bank = replace(BANK, seed=77)
    first = opened(corpus, data, teacher_file, bank, told)
    assert told == list(range(1, data.copy_row.size + 1))
    monkeypatch.setattr("trainable.targets.load_teacher", None)
    monkeypatch.setattr("trainable.target_builder.load_teacher", None)
    told.clear()
    again = opened(corpus, data, teacher_file, bank, told)
    assert told == []
    for kept, same in zip(first.table.vectors_NW, again.table.vectors_NW, strict=True):
        assert np.array_equal(kept, same)
        assert not same.flags.owndata


def test_another_teacher_bank_or_length_is_another_store(
    corpus: Path, data: TrainingData, teacher_file: Path, targets: StoredTargets
) -> None:
    key = targets.table.stores[0].plan.key
    for bank in (
        replace(BANK, seed=5),
        replace(BANK, num_crops=2),
        replace(BANK, crop_frames=CROP_FRAMES + 1),
    ):
        other = opened(corpus, data, teacher_file, bank)
        assert other.table.stores[0].plan.key != key
    state = torch.load(teacher_file, weights_only=True)
    name = next(iter(state["model_state_dict"]))
    state["model_state_dict"][name] += 0.01
    changed = teacher_file.with_name("changed.model")
    torch.save(state, changed)
    assert opened(corpus, data, changed).table.stores[0].plan.key != key


def test_a_copy_has_crops_and_lessons_of_its_own(
    targets: StoredTargets, data: TrainingData
) -> None:
    original, copy = data.copy_row[0]
    latest = targets.bank.latest(data.features.length[[original, copy]])
    numbers = targets.number_of_row[[original, copy]]
    starts = targets.bank.starts(numbers, latest)
    assert latest[0] == latest[1]
    assert not np.array_equal(starts[0], starts[1])
    feat_BTF = data.features.crops(np.array([original, copy]), np.zeros(2, np.int64), 90)
    assert not torch.allclose(feat_BTF[0], feat_BTF[1], atol=0.01)


def test_a_crop_that_is_not_in_the_bank_is_refused(
    targets: StoredTargets, data: TrainingData
) -> None:
    crops = drawn(targets, data, 4)
    with pytest.raises(ValueError, match="one that is not stored"):
        targets.lesson(crops._replace(start_B=crops.start_B + 1), with_stages=False)
    validation = crops._replace(row_B=np.repeat(data.val_row[:1], 4))
    with pytest.raises(ValueError, match="one that is not stored"):
        targets.lesson(validation, with_stages=False)


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


def test_stored_lessons_are_looked_up_ahead_of_the_step_and_a_networks_are_not(
    targets: StoredTargets, data: TrainingData, teacher_file: Path
) -> None:
    config = TrialConfig.model_validate(STUDENT | {"loss": {"stages": "cosine"}})
    crops = drawn(targets, data)
    for teacher, is_ahead in ((targets, True), (load_teacher(teacher_file), False)):
        trainer = Trainer(config, data, teacher=teacher, device=CPU)
        found = trainer.objective.with_lesson(crops).lesson
        assert (found is not None) == is_ahead
        if found is not None:
            said = targets.lesson(crops, with_stages=True)
            assert torch.equal(found.embedding_BD, said.embedding_BD)
            assert all(map(torch.equal, found.stages, said.stages))


def test_a_teacher_that_is_overwritten_is_asked_anew_and_never_mixed(
    corpus: Path, data: TrainingData, teacher_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "overwritten.model"
    file.write_bytes(teacher_file.read_bytes())
    first = opened(corpus, data, file)
    state = torch.load(file, weights_only=True)
    weights = state["model_state_dict"]
    scale = next(name for name in weights if name.endswith("embedding_norm.weight"))
    weights[scale] *= 0.5
    torch.save(state, file)
    second = opened(corpus, data, file)
    crops = drawn(first, data)
    said = load_teacher(file).lesson(crops, with_stages=False).embedding_BD
    kept = second.lesson(crops, with_stages=False).embedding_BD
    torch.testing.assert_close(kept, said, rtol=2**-10, atol=1e-5)
    assert not torch.allclose(first.lesson(crops, with_stages=False).embedding_BD, said)


def test_a_task_refuses_a_teacher_that_changed_after_it_was_made(
    corpus: Path, data: TrainingData, teacher_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "changing.model"
    file.write_bytes(teacher_file.read_bytes())

    def changing(tasks: Sequence[ShardTask], *more: Any) -> tuple[str, ...]:
        torch.save({**torch.load(file, weights_only=True), "changed": 1}, file)
        return build_shards(tasks, *more)

    with pytest.raises(CheckpointError, match=r"changing\.model: the teacher has changed while"):
        open_targets(
            file,
            data,
            replace(BANK, seed=123),
            cache_dir=corpus.parent / "cache",
            build=changing,
        )
