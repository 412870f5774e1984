"""A teacher in a file of another program: what it is, and what leads on from there."""

import argparse
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from search.run.teacher_setup import check_teacher_file
from spaces.files.errors import CheckpointError, ConfigError, TrainingError
from spaces.files.yaml_file import write_yaml
from tests.search.commands import veer
from tests.worlds.toy_trainer import weights
from trainable.config.reading import read_trial_space
from trainable.teachers.any_teacher import facts_of_file, find_teacher

AS_PARQUET = "write its embeddings as Parquet"
CONVERT = "`veer teacher convert` makes a teacher of it"
AS_PLUGIN = "as `weights` in the .yaml file of a plug-in"
OWN_PROGRAM = "with the program that it is from"


def in_memory(save: Callable[[Any], Any]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return file.getvalue()


def saved(state: object) -> bytes:
    return in_memory(lambda file: torch.save(state, file))


ROWS = np.ones((3, 4), np.float32)
HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
CASES = {
    "t.scp": (b"id1/a.wav /data/xvector.ark:12\n", "a Kaldi script file", CONVERT),
    "t.ark": (b"id1/a.wav \0BFV \4\3\0\0\0" + bytes(12), "a Kaldi archive", CONVERT),
    "text.ark": (b"id1/a.wav  [ 0.1 -2.5e-3 1 ]\n", "a Kaldi archive", CONVERT),
    "t.npy": (in_memory(lambda file: np.save(file, ROWS)), "a NumPy array", CONVERT),
    "t.npz": (in_memory(lambda file: np.savez(file, a=ROWS)), "an archive of NumPy", CONVERT),
    "t.h5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file", AS_PARQUET),
    "t.csv": (b"path,d0,d1\na.wav,0.5,-1e-3\n", "a table of text", AS_PARQUET),
    "list.txt": ("id1 a.wav\nid2 bé.wav\n".encode(), "a text file", "if it holds embeddings"),
    "lfs.pt": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "git lfs pull"),
    "t.pq": (b"PAR1" + bytes(64), "a Parquet file", "that ends in .parquet"),
    "t.safetensors": (
        struct.pack("<Q", len(HEADER)) + HEADER + bytes(4), "a safetensors file", OWN_PROGRAM
    ),
    "t.model": (saved({"model_state_dict": weights()}), "voxceleb_trainer", AS_PLUGIN),
    "old.model": (saved(weights()), "voxceleb_trainer", AS_PLUGIN),
    "many.model": (
        saved({f"module.{name}": each for name, each in weights().items()}),
        "voxceleb_trainer",
        AS_PLUGIN,
    ),
    "t.pt": (saved({"net": {"w": torch.ones(1)}}), r"another program \(with net", OWN_PROGRAM),
    "bare.pt": (saved(torch.ones(3)), "holds a Tensor", OWN_PROGRAM),
    "args.pt": (
        saved({"model_state_dict": weights(), "args": argparse.Namespace(lr=1)}),
        r"with its arguments \(argparse.Namespace",
        AS_PLUGIN,
    ),
}  # fmt: skip


def test_a_torchscript_file_is_a_teacher_that_needs_permission(tmp_path: Path) -> None:
    (tmp_path / "script.pt").write_bytes(zipped("m/data.pkl", "m/code/__torch__.py"))
    with pytest.raises(ConfigError, match=r"script\.pt, a TorchScript model, runs code"):
        find_teacher(tmp_path / "script.pt")


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_another_program_is_named_with_what_leads_on(name: str, tmp_path: Path) -> None:
    content, what, remedy = CASES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name}: this is .*{what}.*; Veer takes") as found:
        facts_of_file(find_teacher(tmp_path / name))
    assert remedy in str(found.value)
    assert "delete" not in str(found.value)


def test_a_damaged_file_is_never_to_be_deleted(tmp_path: Path) -> None:
    advices = {"model000000001.model": "; restore", "t.pt": "; Veer takes .*; or restore"}
    for name, advice in advices.items():
        (tmp_path / name).write_bytes(b"\x80\x02 torn")
        with pytest.raises(CheckpointError, match=f"{advice} it from a copy, or train"):
            facts_of_file(tmp_path / name)


def test_a_misfit_is_refused_before_the_corpus_is_read(
    teacher_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The corpus need not even be there."""
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))
    corpus = {"train_dir": "a", "train_list": "a.txt", "val_dir": "a", "val_list": "v.txt"}
    write_yaml(tmp_path / "corpus.yaml", corpus)
    own = facts_of_file(teacher_file).embedding_dim
    assert own is not None
    message = rf"model.embedding_dim must equal the teacher's \({own}\), got {own + 8}"
    with pytest.raises(TrainingError, match=message):
        veer(
            "train", "--preset", "v2_cosine", "--corpus", tmp_path / "corpus.yaml", "--teacher",
            teacher_file, "--out", tmp_path / "out", "--set", f"model.embedding_dim={own + 8}",
        )  # fmt: skip
    model = {"family": "mlp_mixer", "embedding_dim": own + 8, "num_blocks": {"choices": [1, 2]}}
    write_yaml(tmp_path / "space.yaml", {"model": model})
    with pytest.raises(ConfigError, match=rf"does not fit teacher .*{message}"):
        check_teacher_file(teacher_file, read_trial_space(tmp_path / "space.yaml"))
