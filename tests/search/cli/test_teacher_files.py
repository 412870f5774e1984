"""`veer teacher show` and `convert`, and a graph as the teacher of a training."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spaces.files.errors import ConfigError, CorpusError, VeerError
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.commands import veer
from tests.worlds.graphs import DIM, write_onnx
from tests.worlds.tiny_models import SMALL_STUDENT, TRAINING


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


def test_a_student_is_trained_with_a_graph_and_its_targets_are_known(
    make_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = make_corpus(tmp_path / "corpus", num_val_speakers=3, num_utterances=3)
    graph = write_onnx(tmp_path / "theirs.onnx", ["b", TRAINING["crop_frames"], 80])
    loss = {"distillation": "cosine", "alpha": 0.5}
    trial = SMALL_STUDENT | {"loss": loss, "training": TRAINING | {"max_epochs": 1}}
    run = {"corpus": read_yaml(corpus).data, "teacher": "theirs.onnx", "trial": trial}
    for key in ("train_dir", "train_list", "val_dir", "val_list"):
        run["corpus"][key] = f"corpus/{run['corpus'][key]}"
    write_yaml(tmp_path / "run.yaml", run)
    out = tmp_path / "student"
    result = veer("train", tmp_path / "run.yaml", "--out", out)
    assert result.exit_code == 0, result.output
    # A retraining reads the run's own file, which has what the graph was found to be.
    kept = read_yaml(out / "config.yaml").data["teacher"]
    assert kept == str(out / "teacher.yaml")
    assert read_yaml(Path(kept)).data["graph"] == str(graph)
    info = veer("data", "info", corpus, "--teacher", graph)
    assert "40 frames, seed 0" in info.output
    shown = veer("teacher", "show", graph).output.splitlines()
    assert {f"embedding: {DIM} numbers", "crops: 40 frames", "batch: any"} <= {*shown}
    assert "input: x: log-mels, axes BTF" in shown


def test_embeddings_are_converted_by_command(tmp_path: Path) -> None:
    (tmp_path / "wav").mkdir()
    (tmp_path / "wav" / "a.wav").touch()
    np.savez(tmp_path / "x.npz", **{"a.wav": np.ones(4), "b.wav": np.ones(4)})
    out = tmp_path / "teacher.parquet"
    words = ("teacher", "convert", tmp_path / "x.npz", "--out", out)
    assert veer(*words).output.splitlines() == [f"wrote {out}: 2 embeddings of 4 numbers"]
    np.savez(tmp_path / "u.npz", **{"id1-a": np.ones(4), "b.wav": np.ones(4)})
    found = veer("teacher", "convert", tmp_path / "u.npz", "--out", tmp_path / "u.parquet").output
    assert "warning: 1 names are not paths of audio files, such as id1-a;" in found
    with pytest.raises(VeerError, match=r"teacher\.parquet exists; name another file with --out"):
        veer(*words)
    with pytest.raises(CorpusError, match=r"was written, but names 1 file .*such as b\.wav"):
        veer(*words, "--force", "--root", tmp_path / "wav")
    with pytest.raises(ConfigError, match=r"--out must end in \.parquet, got"):
        veer("teacher", "convert", tmp_path / "x.npz", "--out", tmp_path / "x.npy")
