"""What a file of embeddings must hold to teach: crops of every utterance, each in its place."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from spaces.files.errors import TrainingError
from tests.worlds.embedding_rows import Columns, with_row, without, write
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.loss.teacher_output import Crops
from trainable.teachers.stored import load_stored_teacher
from trainable.training.trainer import Trainer


def test_utterances_without_a_crop_are_counted_and_the_first_named(
    data: TrainingData, columns: Columns, tmp_path: Path
) -> None:
    paths = data.train_paths
    file = write(tmp_path / "e.parquet", without(columns, set(paths[2:6])))
    message = f"row, 4 of 30 have none ({paths[2]}, {paths[3]}, {paths[4]}, ...)"
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
        ({}, r"1 crops are in it more than once, such as id\d+/.* at frame \d+; keep one row"),
    ],
)
def test_crops_that_break_a_rule_are_refused(
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


@pytest.fixture
def by_utterance(columns: Columns) -> Columns:
    """A row an utterance: that of its first crop."""
    rows = [columns["utterance"].index(name) for name in dict.fromkeys(columns["utterance"])]
    return {name: [columns[name][row] for row in rows] for name in ("utterance", "embedding")}


def test_without_frames_every_crop_of_an_utterance_gets_its_row(
    data: TrainingData, by_utterance: Columns, tmp_path: Path
) -> None:
    file = write(tmp_path / "e.parquet", by_utterance)
    teacher = load_stored_teacher(file, data)
    assert teacher.facts.crop_frames is None
    assert teacher.facts.is_looked_up
    row_N = data.train_row
    latest_N = data.features.length[row_N] - 40
    start_N = teacher.draw_starts(np.random.default_rng(0), row_N, latest_N)
    assert len(set(start_N.tolist())) > 5
    found = teacher.output(Crops(torch.empty(0), row_N, start_N), with_stages=False)
    row_of = dict(zip(by_utterance["utterance"], by_utterance["embedding"], strict=True))
    wanted = torch.tensor([row_of[path] for path in data.train_paths])
    torch.testing.assert_close(found.embedding_BD, wanted)


def test_a_student_learns_from_a_row_an_utterance(
    data: TrainingData, by_utterance: Columns, tmp_path: Path
) -> None:
    teacher = load_stored_teacher(write(tmp_path / "e.parquet", by_utterance), data)
    size = len(by_utterance["embedding"][0])
    config = {
        "model": {"family": "mlp_mixer", "embedding_dim": size, "hidden_dim": 16, "num_blocks": 1,
                  "num_frames": 40},
        "loss": {"distillation": "cosine", "alpha": 1.0},
        "training": {"batch_size": 8, "crop_frames": 40, "lr": 3e-3},
    }  # fmt: skip
    trainer = Trainer(
        TrialConfig.model_validate(config), data, teacher=teacher, device=torch.device("cpu")
    )
    losses = [trainer.run_epoch().loss_distillation for _ in range(3)]
    assert losses[-1] < losses[0]


def test_an_utterance_has_one_row_and_a_misspelt_column_is_none_that_is_left_out(
    data: TrainingData, by_utterance: Columns, columns: Columns, tmp_path: Path
) -> None:
    twice = write(tmp_path / "twice.parquet", with_row(by_utterance))
    with pytest.raises(TrainingError, match=r"1 utterances have several rows .*one row per utt"):
        load_stored_teacher(twice, data)
    names = {"start_frame": "start_frames", "num_frames": "n_frames"}
    misspelt = {names.get(name, name): values for name, values in columns.items()}
    with pytest.raises(TrainingError, match=r"column 'start_frame' is missing .* 'start_f"):
        load_stored_teacher(write(tmp_path / "misspelt.parquet", misspelt), data)
