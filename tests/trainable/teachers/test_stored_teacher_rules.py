"""What a file of embeddings must hold to teach: crops of every utterance, each in its place."""

import re
from pathlib import Path

import pytest

from spaces.files.errors import TrainingError
from tests.worlds.embedding_rows import Columns, with_row, without, write
from trainable.features.training_data import TrainingData
from trainable.teachers.stored import load_stored_teacher


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
