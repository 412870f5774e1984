"""Embeddings of other programs become a teacher's file; against what their own writers wrote."""

import pickle
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch

from spaces.files.errors import ConfigError, CorpusError, TrainingError
from trainable.teachers.embedding_converting import convert_embeddings
from trainable.teachers.embedding_file import read_embeddings

NAMES = ("id1/a.wav", "id1/b.wav", "id2/c.wav")
ROWS = np.random.default_rng(0).standard_normal((3, 5), np.float32)
BY_NAME = dict(zip(NAMES, ROWS, strict=True))


def write(folder: Path, name: str) -> Path:
    file = folder / name
    if file.suffix in (".ark", ".scp"):
        is_text = name == "text.ark"
        scp = str(folder / "x.scp")
        kaldiio.save_ark(str(folder / f"{file.stem}.ark"), BY_NAME, scp=scp, text=is_text)
    elif file.suffix == ".npz":
        np.savez(file, names=np.array(NAMES), embeddings=ROWS)
    elif file.suffix == ".npy":
        np.save(file, ROWS)
    elif name == "dict.pt":
        torch.save({each: torch.from_numpy(row) for each, row in BY_NAME.items()}, file)
    else:
        torch.save({"names": list(NAMES), "embeddings": torch.from_numpy(ROWS).double()}, file)
    return file


@pytest.mark.parametrize(
    "name", ["x.scp", "x.ark", "text.ark", "x.npz", "x.npy", "dict.pt", "array.pt"]
)
def test_what_a_program_wrote_is_read_back(tmp_path: Path, name: str) -> None:
    file, out = write(tmp_path, name), tmp_path / "teacher.parquet"
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{each}\n" for each in NAMES))
    made = convert_embeddings(file, out, names=names if name == "x.npy" else None)
    assert (made.num_utterances, made.embedding_dim) == (3, 5)
    table = read_embeddings(out, NAMES)
    assert not table.is_by_crop
    np.testing.assert_allclose(table.embedding_ND[np.argsort(table.utterance_N)], ROWS, rtol=1e-5)


def test_utterances_get_the_paths_of_their_files(tmp_path: Path) -> None:
    root = tmp_path / "wav"
    for path in NAMES:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    lines = "".join(f"u{n} /far/{each}\n" for n, each in enumerate(NAMES))
    (tmp_path / "wav.scp").write_text(lines)
    file, out = tmp_path / "x.pt", tmp_path / "t.parquet"
    torch.save({f"u{n}": torch.from_numpy(row) for n, row in enumerate(ROWS)}, file)
    convert_embeddings(file, out, root=root, wav_scp=tmp_path / "wav.scp")
    table = read_embeddings(out, NAMES)
    np.testing.assert_array_equal(table.embedding_ND, ROWS)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    scp, out = tmp_path / "x.scp", tmp_path / "t.parquet"
    scp.write_text(f"u-1 touch {tmp_path}/ran |\n")
    with pytest.raises(TrainingError, match=r"x\.scp:1: must be .* a command is not run"):
        convert_embeddings(scp, out)
    (tmp_path / "p.ark").write_bytes(b"u-1 PKL" + pickle.dumps([1.0]))
    with pytest.raises(TrainingError, match="must be a vector of Kaldi, got b'PK'"):
        convert_embeddings(tmp_path / "p.ark", out)
    np.save(tmp_path / "d.npy", np.array({"u-1": ROWS[0]}, dtype=object))
    with pytest.raises(TrainingError, match="cannot be read without unpickling"):
        convert_embeddings(tmp_path / "d.npy", out)
    torch.save({"u-1": Path()}, tmp_path / "o.pt")
    with pytest.raises(TrainingError, match="cannot be read without executing code"):
        convert_embeddings(tmp_path / "o.pt", out)
    assert not out.exists()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": [1.0, 2.0], "b": [1.0]}, r"b: must be a vector of 2 numbers.*got the shape \(1,\)"),
        ({"a": [1.0, float("nan")]}, "a: must be finite and not zero"),
        ({"a": [0.0, 0.0]}, "a: must be finite and not zero"),
        ({"a": [1.0], "./a b": [1.0]}, "a b: a path must not have white space"),
    ],
)
def test_embeddings_that_cannot_be_used_are_named(
    tmp_path: Path, rows: dict[str, list[float]], message: str
) -> None:
    torch.save({name: torch.tensor(row) for name, row in rows.items()}, tmp_path / "x.pt")
    with pytest.raises(CorpusError, match=message):
        convert_embeddings(tmp_path / "x.pt", tmp_path / "t.parquet")


def test_an_array_needs_names_and_a_file_its_ending(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    with pytest.raises(ConfigError, match="3 names must be given, one for each row, got none"):
        convert_embeddings(tmp_path / "x.npy", tmp_path / "t.parquet")
    (tmp_path / "x.h5").touch()
    with pytest.raises(ConfigError, match=r"x\.h5: must end in \.scp, \.ark, \.npy"):
        convert_embeddings(tmp_path / "x.h5", tmp_path / "t.parquet")
