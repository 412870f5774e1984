"""A teacher that is a file of embeddings: the same lessons as the network that wrote it."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from models import LSTMAutoencoderConfig, build_model
from trainable.config import TrialConfig
from trainable.corpus import read_corpus_config
from trainable.data import TrainingData, load_training_data
from trainable.errors import TrainingError
from trainable.evaluation import validation_veer_pct
from trainable.scoring import evenly_spaced_starts
from trainable.stored_teacher import load_stored_teacher, stored_veer_pct
from trainable.teacher import Crops, SpeakerCentres, Teacher
from trainable.training import Trainer

CPU = torch.device("cpu")
STUDENT = {
    "family": "mlp_mixer",
    "hidden_dim": 16,
    "num_blocks": 1,
    "num_frames": 40,
    "embedding_dim": 24,
}
TRAINING = {"batch_size": 8, "crop_frames": 40, "lr": 3e-3}
STARTS = (0, 7, 30, 60)
Columns = dict[str, list]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    from tests.conftest import write_corpus

    folder = tmp_path_factory.mktemp("corpus")
    corpus = read_corpus_config(write_corpus(folder))
    return load_training_data(corpus, cache_dir=folder / "cache")


@pytest.fixture(scope="module")
def network() -> Teacher:
    torch.manual_seed(0)
    config = LSTMAutoencoderConfig(
        hidden_dim=16, num_layers=1, bottleneck_dim=12, embedding_dim=24
    )
    return Teacher(model=build_model(config))


@pytest.fixture
def columns(data: TrainingData, network: Teacher) -> Columns:
    """What the network says of four crops of every training utterance, in a strange order."""
    rows = []
    for path, row in zip(data.train_paths, data.train_row, strict=True):
        for start in STARTS:
            feat_1TF = data.features.crops(np.array([row]), np.array([start]), 40)
            rows.append((path, start, 40, network.model.embed(feat_1TF)[0].tolist()))
    np.random.default_rng(0).shuffle(rows)
    names = ("utterance", "start_frame", "num_frames", "embedding")
    return dict(zip(names, (list(each) for each in zip(*rows, strict=True)), strict=True))


def write(file: Path, columns: Columns, dtype: pa.DataType | None = None) -> Path:
    emb = columns["embedding"]
    typed = emb if dtype is None else [[np.float16(x) for x in row] for row in emb]
    array = pa.array(typed, pa.list_(dtype or pa.float32()))
    pq.write_table(pa.table(columns | {"embedding": array}), file)
    return file


def trial(**loss: object) -> TrialConfig:
    return TrialConfig.model_validate({"model": STUDENT, "training": TRAINING, "loss": loss})


class Online:
    """The network, asked about the crops that a stored teacher draws."""

    def __init__(self, network: Teacher, stored: object) -> None:
        self.network, self.facts, self.draw_starts = network, stored.facts, stored.draw_starts
        self.lesson = network.lesson

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


def test_crops_are_drawn_from_the_files_alone_and_all_of_them(
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


def test_a_crop_that_is_not_stored_is_no_lesson(
    data: TrainingData, columns: Columns, tmp_path: Path
) -> None:
    teacher = load_stored_teacher(write(tmp_path / "e.parquet", columns), data)
    crops = Crops(torch.zeros(2, 40, 80), data.train_row[:2], np.array([7, 8]))
    with pytest.raises(ValueError, match="drawn by draw_starts, got one that is not stored"):
        teacher.lesson(crops, with_stages=False)


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
    one, other = (teacher.lesson(each, with_stages=False).embedding_BD for each in crops)
    assert torch.equal(one, other)


def without(columns: Columns, utterances: set[str]) -> Columns:
    kept = [n for n, name in enumerate(columns["utterance"]) if name not in utterances]
    return {name: [values[n] for n in kept] for name, values in columns.items()}


def with_row(columns: Columns, **cells: object) -> Columns:
    first = {name: values[0] for name, values in columns.items()}
    return {name: [*values, (first | cells)[name]] for name, values in columns.items()}


def test_utterances_without_a_crop_are_counted_and_the_first_named(
    data: TrainingData, columns: Columns, tmp_path: Path
) -> None:
    paths = data.train_paths
    file = write(tmp_path / "e.parquet", without(columns, set(paths[2:6])))
    message = f"crop, 4 of 30 have none ({paths[2]}, {paths[3]}, {paths[4]}, ...)"
    with pytest.raises(TrainingError, match=re.escape(message)):
        load_stored_teacher(file, data)
    strangers = columns | {"utterance": [f"wav/{name}" for name in columns["utterance"]]}
    strange = write(tmp_path / "strange.parquet", strangers)
    with pytest.raises(TrainingError, match="30 of 30 have none"):
        load_stored_teacher(strange, data)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        # One second has 101 frames: the last crop of 40 begins at frame 61.
        ({"start_frame": 62}, r"1 crops lie outside .* got id\d+/session\d/00001.wav at frame 62"),
        ({"start_frame": -1}, r"1 crops lie outside their utterance.* at frame -1"),
        ({"start_frame": 3, "num_frames": 41}, r"num_frames must be one number .* got 40, 41"),
        ({}, r"1 crops stand in it more than once, such as id\d+/.* at frame \d+; leave one row"),
    ],
)
def test_places_that_break_a_rule_are_refused(
    data: TrainingData, columns: Columns, tmp_path: Path, cells: dict, message: str
) -> None:
    file = write(tmp_path / "e.parquet", with_row(columns, **cells))
    with pytest.raises(TrainingError, match=rf"e.parquet: .*{message}"):
        load_stored_teacher(file, data)


def test_the_latest_crop_of_an_utterance_is_taken(
    data: TrainingData, columns: Columns, tmp_path: Path
) -> None:
    load_stored_teacher(write(tmp_path / "e.parquet", with_row(columns, start_frame=61)), data)


def test_of_an_utterance_shorter_than_the_crop_there_is_the_one_from_frame_0(
    data: TrainingData, columns: Columns, tmp_path: Path
) -> None:
    only = [n for n, start in enumerate(columns["start_frame"]) if start in (0, 7)]
    long = {name: [values[n] for n in only] for name, values in columns.items()}
    long["num_frames"] = [200] * len(only)
    with pytest.raises(TrainingError, match="30 crops lie outside their utterance"):
        load_stored_teacher(write(tmp_path / "e.parquet", long), data)
    first = [n for n, start in enumerate(long["start_frame"]) if start == 0]
    whole = {name: [values[n] for n in first] for name, values in long.items()}
    teacher = load_stored_teacher(write(tmp_path / "f.parquet", whole), data)
    assert teacher.facts.crop_frames == 200


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"loss": {"distillation": "kl"}}, "'kl' needs the teacher's classifier, and its file"),
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


def test_the_veer_is_the_networks_own_on_the_same_crops(
    data: TrainingData, network: Teacher, columns: Columns, tmp_path: Path
) -> None:
    assert stored_veer_pct(write(tmp_path / "train.parquet", columns), data) is None
    for path, row in zip(data.val_paths, data.val_row, strict=True):
        for start in evenly_spaced_starts(int(data.features.length[row]), 80, 3):
            feat_1TF = data.features.crops(np.array([row]), np.array([start]), 80)
            emb_D = network.model.embed(feat_1TF)[0].tolist()
            columns = with_row(
                columns, utterance=path, start_frame=int(start), num_frames=80, embedding=emb_D
            )
    network.model.num_frames = 80
    try:
        expected = validation_veer_pct(network.model, data, num_crops=3, device=CPU)
    finally:
        network.model.num_frames = None
    found = stored_veer_pct(write(tmp_path / "all.parquet", columns), data)
    assert 0 < expected < 100
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_documented_example_writes_a_teacher(
    data: TrainingData,
    network: Teacher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "teachers.md").read_text()
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
        "tuple_of": lambda name: Path(name).read_text().splitlines(),
    })  # fmt: skip  # our own page
    teacher = load_stored_teacher(tmp_path / "teacher.parquet", data)
    report = Trainer(trial(), data, teacher=teacher, device=CPU).run_epoch()
    assert report.teacher_cosine is not None
    assert teacher.count_U.tolist() == [2] * 30
