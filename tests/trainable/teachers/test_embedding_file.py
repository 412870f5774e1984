"""Files of embeddings: what is read back, and what is refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spaces.files.errors import TrainingError
from trainable.teachers.embedding_file import read_embeddings, read_meta
from trainable.teachers.embedding_writing import EmbeddingWriter

ROWS = {
    "utterance": ["a.wav", "b.wav", "a.wav"],
    "start_frame": [0, 5, 10],
    "num_frames": [40, 40, 40],
    "embedding": [[1.0, 0.0], [0.5, -2.0], [3.0, 4.0]],
}


def write(file: Path, **columns: object) -> Path:
    pq.write_table(pa.table(ROWS | columns), file)
    return file


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (pa.list_(pa.float64()), np.float32),
        (pa.large_list(pa.float32()), np.float32),
        (pa.list_(pa.float32(), 2), np.float32),
        (pa.list_(pa.float16()), np.float16),
    ],
    ids=str,
)
def test_wanted_crops_come_back_in_the_files_order(
    tmp_path: Path, dtype: pa.DataType, expected: type
) -> None:
    values = pa.array([[np.float16(x) for x in row] for row in ROWS["embedding"]], dtype)
    names = pa.array(ROWS["utterance"]).dictionary_encode()
    file = write(tmp_path / "e.parquet", embedding=values, utterance=names, extra=[1, 2, 3])
    table = read_embeddings(file, ["c.wav", "a.wav"])
    assert table.utterance_N.tolist() == [1, 1]
    assert table.start_N.tolist() == [0, 10]
    assert table.num_frames_N.tolist() == [40, 40]
    assert table.embedding_ND.dtype == expected
    assert table.embedding_ND.tolist() == [[1, 0], [3, 4]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"embedding": [1.0, 2.0, 3.0]}, r"column 'embedding' must hold lists of floats, got dou"),
        ({"embedding": [[1], [2], [3]]}, r"lists of floats, got list<.*int64>"),
        ({"start_frame": [0.0, 5.0, 1.0]}, r"'start_frame' must hold whole numbers, got double"),
        ({"utterance": [1, 2, 3]}, r"column 'utterance' must hold text, got int64"),
        ({"num_frames": [40, None, 40]}, r"num_frames must be set in every row, got 1 nulls"),
        ({"embedding": [[1.0], [1.0, 2.0], [3.0]]}, r"row 1: .* must have 1 numbers .* got 2"),
        ({"embedding": [[1.0], None, [3.0]]}, r"row 1: .* must have 1 numbers .* got none"),
        (
            {"embedding": pa.array([[1.0], None, [3.0]], pa.list_(pa.float32(), 1))},
            r"row 1: .* must have 1 numbers .* got none",
        ),
        ({"embedding": [[1.0], [float("nan")], [3.0]]}, r"row 1: .* got NaN or infinite numbers"),
        ({"embedding": [[1.0], [2.0], [float("-inf")]]}, r"row 2: .* got NaN or infinite"),
        ({"embedding": [[1.0], [None], [3.0]]}, r"row 1: .* got NaN or infinite numbers"),
        ({"embedding": [[0.0], [2.0], [3.0]]}, r"row 0: .* finite and not zero, got zeros"),
        ({"embedding": pa.array([[], [], []], pa.list_(pa.float32()))}, "hold numbers, got none"),
    ],
)
def test_values_that_break_a_rule_are_refused_with_their_row(
    tmp_path: Path, columns: dict[str, object], message: str
) -> None:
    with pytest.raises(TrainingError, match=rf"e.parquet: .*{message}"):
        read_embeddings(write(tmp_path / "e.parquet", **columns), ["a.wav"])


def test_a_missing_column_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    columns = {name: values for name, values in ROWS.items() if name != "start_frame"}
    pq.write_table(pa.table(columns | {"start_frames": [0, 0, 0]}), tmp_path / "e.parquet")
    message = r"column 'start_frame' is missing .*; did you mean 'start_frames'"
    with pytest.raises(TrainingError, match=message):
        read_embeddings(tmp_path / "e.parquet", ["a.wav"])


def test_rows_of_whole_utterances_need_two_columns_and_no_other(tmp_path: Path) -> None:
    columns = {"path": ROWS["utterance"], "embedding": ROWS["embedding"]}
    pq.write_table(pa.table(columns), tmp_path / "e.parquet")
    with pytest.raises(TrainingError) as error:
        read_embeddings(tmp_path / "e.parquet", ["a.wav"])
    assert "column 'utterance' is missing (needed: utterance, embedding)" in str(error.value)
    assert "start_frame" not in str(error.value)


def test_a_file_other_than_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.parquet").write_text("utterance,start_frame\n")
    with pytest.raises(TrainingError, match=r"e\.parquet: not a readable Parquet file"):
        read_embeddings(tmp_path / "e.parquet", [])
    with pytest.raises(TrainingError, match=r"none\.parquet: there is no such file"):
        read_embeddings(tmp_path / "none.parquet", [])


def test_what_is_written_piece_by_piece_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small enough that there are several row groups, and pieces that straddle them.
    monkeypatch.setattr("trainable.teachers.embedding_writing.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("trainable.teachers.embedding_file.ROWS_AT_ONCE", 7)
    rng = np.random.default_rng(0)
    emb_ND = rng.normal(size=(50, 3)).astype(np.float32)
    names = [f"{number % 10}.wav" for number in range(50)]
    with EmbeddingWriter(tmp_path / "e.parquet", {"key": "x"}, 3) as writer:
        for first in range(0, 50, 4):
            part = slice(first, first + 4)
            writer.write(names[part], np.arange(50)[part], 40, emb_ND[part])
    assert pq.ParquetFile(tmp_path / "e.parquet").num_row_groups > 3
    table = read_embeddings(tmp_path / "e.parquet", ["3.wav", "4.wav"])
    wanted = [row for row in range(50) if row % 10 in (3, 4)]
    assert table.start_N.tolist() == wanted
    assert np.array_equal(table.embedding_ND, emb_ND[wanted])
    assert read_meta(tmp_path / "e.parquet") == {"key": "x"}
    assert read_meta(write(tmp_path / "other.parquet")) == {}


def test_an_unfinished_file_leaves_nothing_and_spares_the_old_one(tmp_path: Path) -> None:
    old = write(tmp_path / "e.parquet").read_bytes()

    def write_and_fail() -> None:
        with EmbeddingWriter(tmp_path / "e.parquet", {}, 2) as writer:
            writer.write(["a.wav"], np.zeros(1, np.int64), 40, np.ones((1, 2), np.float32))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert [file.name for file in tmp_path.iterdir()] == ["e.parquet"]
    assert (tmp_path / "e.parquet").read_bytes() == old
