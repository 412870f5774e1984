"""A teacher that is a file of embeddings: the same outputs as the network that wrote it."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from spaces.files.errors import TrainingError
from tests.worlds.embedding_rows import Columns, with_row, write
from tests.worlds.tiny_models import MIXER
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import TrainingData, load_training_data
from trainable.loss.teacher_output import Crops, SpeakerCentres
from trainable.teachers.network import Teacher
from trainable.teachers.stored import load_stored_teacher, stored_scores
from trainable.training.trainer import Trainer
from trainable.verification.evaluation import validation_scores
from trainable.verification.scoring import evenly_spaced_starts

CPU = torch.device("cpu")
STUDENT = MIXER
TRAINING = {"batch_size": 8, "crop_frames": 40, "lr": 3e-3}


def trial(**loss: object) -> TrialConfig:
    return TrialConfig.model_validate({"model": STUDENT, "training": TRAINING, "loss": loss})


class Online:
    """The network, asked about the crops that a stored teacher draws."""

    def __init__(self, network: Teacher, stored: object) -> None:
        self.network, self.facts, self.draw_starts = network, stored.facts, stored.draw_starts
        self.output = network.output

    def to(self, _: torch.device) -> "Online":
        return self


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(None, 1e-5), (pa.float16(), 2e-3)], ids=["float32", "float16"]
)
@pytest.mark.parametrize("kind", ["mse", "cosine", "rkd", "infonce"])
def test_losses_are_the_networks_own_on_the_same_crops(
    data: TrainingData,
    network: Teacher,
    columns: Columns,
    tmp_path: Path,
    kind: str,
    dtype: pa.DataType | None,
    tolerance: float,
) -> None:
    stored = load_stored_teacher(write(tmp_path / "e.parquet", columns, dtype), data)
    reports = [
        Trainer(trial(distillation=kind), data, teacher=teacher, device=CPU).run_epoch()
        for teacher in (stored, Online(network, stored))
    ]
    one, other = reports
    assert one.loss_distillation == pytest.approx(other.loss_distillation, rel=tolerance)
    assert one.loss_total == pytest.approx(other.loss_total, rel=tolerance)
    assert one.teacher_cosine == pytest.approx(other.teacher_cosine, abs=tolerance)


def test_crops_are_drawn_only_from_the_files_and_from_all_of_them(
    data: TrainingData, columns: Columns, tmp_path: Path
) -> None:
    kept = [n for n, start in enumerate(columns["start_frame"]) if start != 30]
    first = data.train_paths[0]
    kept = [n for n in kept if columns["utterance"][n] != first or columns["start_frame"][n] == 7]
    some = {name: [values[n] for n in kept] for name, values in columns.items()}
    teacher = load_stored_teacher(write(tmp_path / "e.parquet", some), data)
    rng = np.random.default_rng(0)
    latest = np.full(len(data.train_row), 61)
    drawn = np.stack([teacher.draw_starts(rng, data.train_row, latest) for _ in range(60)])
    assert set(drawn[:, 0].tolist()) == {7}
    for utterance in range(1, drawn.shape[1]):
        assert set(drawn[:, utterance].tolist()) == {0, 7, 60}


def test_same_seed_same_crops_whatever_the_order_of_the_file(
    data: TrainingData, columns: Columns, tmp_path: Path
) -> None:
    turned = {name: values[::-1] for name, values in columns.items()}
    curves = [
        [trainer.run_epoch().loss_total for _ in range(2)]
        for number, each in enumerate((columns, turned))
        for trainer in [
            Trainer(
                trial(),
                data,
                teacher=load_stored_teacher(write(tmp_path / f"{number}.parquet", each), data),
                device=CPU,
            )
        ]
    ]
    assert curves[0] == curves[1]


def test_a_crop_that_is_not_stored_has_no_output(
    data: TrainingData, columns: Columns, tmp_path: Path
) -> None:
    teacher = load_stored_teacher(write(tmp_path / "e.parquet", columns), data)
    crops = Crops(torch.zeros(2, 40, 80), data.train_row[:2], np.array([7, 8]))
    with pytest.raises(ValueError, match="drawn by draw_starts, got one that is not stored"):
        teacher.output(crops, with_stages=False)


def test_an_utterance_that_the_list_has_twice_needs_its_crops_once(
    columns: Columns, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    corpus_file = make_corpus(tmp_path / "corpus")
    corpus = read_corpus_config(corpus_file)
    lines = corpus.train_list.read_text().splitlines()
    corpus.train_list.write_text("\n".join([*lines, lines[3]]) + "\n")
    data = load_training_data(corpus, cache_dir=tmp_path / "cache")
    assert len(data.train_row) == 31
    teacher = load_stored_teacher(write(tmp_path / "e.parquet", columns), data)
    crops = [
        Crops(torch.zeros(1, 40, 80), data.train_row[n : n + 1], np.array([7])) for n in (3, 30)
    ]
    one, other = (teacher.output(each, with_stages=False).embedding_BD for each in crops)
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"loss": {"distillation": "kl"}}, "'kl' needs the teacher's classifier, but this"),
        ({"loss": {"distillation": "dkd"}}, "'dkd' needs the teacher's classifier"),
        ({"loss": {"stages": "cosine"}}, "'cosine' needs a teacher with stages"),
        (
            {"model": STUDENT | {"embedding_dim": 32}},
            r"model.embedding_dim must equal the teacher's \(24\), got 32",
        ),
        (
            {"model": STUDENT | {"num_frames": 48}, "training": TRAINING | {"crop_frames": 48}},
            r"training.crop_frames must equal the length .* \(40\), got 48",
        ),
    ],
)
def test_a_trial_that_it_cannot_teach_is_refused(
    data: TrainingData, columns: Columns, tmp_path: Path, parts: dict, message: str
) -> None:
    teacher = load_stored_teacher(write(tmp_path / "e.parquet", columns), data)
    config = TrialConfig.model_validate({"model": STUDENT, "training": TRAINING} | parts)
    with pytest.raises(TrainingError, match=message):
        Trainer(config, data, teacher=teacher, device=CPU)


def test_a_classifier_is_part_of_what_a_network_offers(network: Teacher) -> None:
    centres = SpeakerCentres(weight_KD=torch.eye(24)[:2], scale=1.0, speakers=("a", "b"))
    assert Teacher(model=network.model, centres=centres).facts.centres is centres


def test_without_distillation_crops_are_as_random_as_ever(
    data: TrainingData, columns: Columns, tmp_path: Path
) -> None:
    teacher = load_stored_teacher(write(tmp_path / "e.parquet", columns), data)
    losses = [
        Trainer(trial(distillation="none"), data, teacher=each, device=CPU).run_epoch().loss_total
        for each in (None, teacher)
    ]
    assert losses[0] == losses[1]


def test_the_scores_are_the_networks_own_on_the_same_crops(
    data: TrainingData, network: Teacher, columns: Columns, tmp_path: Path
) -> None:
    assert stored_scores(write(tmp_path / "train.parquet", columns), data) is None
    for path, row in zip(data.val_paths, data.val_row, strict=True):
        for start in evenly_spaced_starts(int(data.features.length[row]), 80, 3):
            feat_1TF = data.features.crops(np.array([row]), np.array([start]), 80)
            emb_D = network.model.embed(feat_1TF)[0].tolist()
            columns = with_row(
                columns, utterance=path, start_frame=int(start), num_frames=80, embedding=emb_D
            )
    network.model.num_frames = 80
    try:
        expected = validation_scores(network.model, data, num_crops=3, device=CPU)
    finally:
        network.model.num_frames = None
    found = stored_scores(write(tmp_path / "all.parquet", columns), data)
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_documented_example_writes_a_teacher(
    data: TrainingData,
    network: Teacher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "teachers.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    # The page's crops of 200 frames need longer audio than the tests have.
    code = code.replace("num_frames=200", "num_frames=40").replace("200", "40")
    row_of = dict(zip(data.train_paths, data.train_row, strict=True))

    def embed(path: str, start_frame: int, num_frames: int) -> list[float]:
        place = np.array([row_of[path]]), np.array([start_frame])
        return network.model.embed(data.features.crops(*place, num_frames))[0].tolist()

    monkeypatch.chdir(tmp_path)
    lines = [f"id{number:05d} {path}\n" for number, path in enumerate(data.train_paths)]
    Path("train_list.txt").write_text("".join(lines))
    exec(compile(code.replace("open(", "tuple_of("), "page", "exec"), {
        "embed": embed,
        "num_samples": lambda path: 160 * (int(data.features.length[row_of[path]]) - 1),
        "tuple_of": lambda name: Path(name).read_text().splitlines(),
    })  # fmt: skip  # our own page
    teacher = load_stored_teacher(tmp_path / "teacher.parquet", data)
    report = Trainer(trial(), data, teacher=teacher, device=CPU).run_epoch()
    assert report.teacher_cosine is not None
    assert set(teacher.count_U.tolist()) == {3}
