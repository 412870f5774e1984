"""The whole job as a user runs it: prepare, teach, search, look, export, retrain, evaluate."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from spaces.files.yaml_file import write_yaml

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.ray_apart]

MINIVOX = os.environ.get("VEER_MINIVOX")
TIMEOUT_S = 900
# Most of the time of more would go into reading recordings and building the store.
NUM_TRAIN_SPEAKERS = 40

TEACHER = {
    "model": {
        "family": "lstm_autoencoder",
        "hidden_dim": 24,
        "num_layers": 1,
        "bottleneck_dim": 16,
        "embedding_dim": 32,
    },
    "loss": {"distillation": "none", "beta": 0.1},
    "training": {
        "batch_size": 8,
        "crop_frames": 60,
        "eval_frames": 60,
        "max_epochs": 2,
        "lr": 3e-3,
    },
}
SPACE = {
    "model": {
        "family": "mlp_mixer",
        "hidden_dim": {"choices": [16, 24]},
        "num_blocks": {"low": 1, "high": 2},
        "num_frames": 60,
        "embedding_dim": 32,
    },
    "loss": {
        "distillation": {"choices": ["none", "mse", "cosine"]},
        "alpha": {"low": 0.1, "high": 0.9, "when": {"loss.distillation": ["mse", "cosine"]}},
        "temperature": {"low": 0.1, "high": 4, "log": True, "when": {"loss.distillation": "mse"}},
    },
    "training": {
        "batch_size": 8,
        "crop_frames": 60,
        "eval_frames": 60,
        "lr": {"low": 1e-3, "high": 1e-2, "log": True},
    },
}


@pytest.fixture
def veer(tmp_path: Path) -> Callable[..., str]:
    """Run the installed command in its own folder and return its output."""

    def run(*arguments: object) -> str:
        command = [str(Path(sys.executable).with_name("veer")), *map(str, arguments)]
        environment = os.environ | {"VEER_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"}
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def whole_job(veer: Callable[..., str], tmp_path: Path, corpus: str, trials: int) -> None:
    write_yaml(tmp_path / "teacher.yaml", TEACHER)
    write_yaml(tmp_path / "space.yaml", SPACE)
    settings = {
        "corpus": corpus,
        "teacher": "teacher",
        "space": "space.yaml",
        "num_trials": trials,
        "max_epochs": 2,
        "max_concurrent": 2,
        "scheduler": {"kind": "asha", "grace_epochs": 1, "reduction_factor": 2},
        "keep_best": 2,
        "benchmark_top": 1,
    }
    write_yaml(tmp_path / "settings.yaml", settings)

    assert "no faults" in veer("data", "check", corpus)
    veer("teacher", "train", "teacher.yaml", "--corpus", corpus, "--out", "teacher")
    veer("search", "settings.yaml", "--run", "run")
    table = veer("trials", "run", "--format", "csv").splitlines()
    assert len(table) == 1 + trials
    assert "teacher" in veer("trials", "run")
    assert "reusing run" in veer("search", "settings.yaml", "--run", "run")

    veer("export", "run", "--out", "exported")
    config = yaml.safe_load((tmp_path / "exported" / "config.yaml").read_text())
    assert Path(config["teacher"]).is_file() or config["trial"]["loss"]["distillation"] == "none"
    retrained = veer("train", "exported/config.yaml", "--out", "student")
    assert "epoch   2" in retrained
    corpus_config = yaml.safe_load((tmp_path / corpus).read_text())
    pairs, root = corpus_config["val_list"], corpus_config["val_dir"]
    scored = veer(
        "evaluate", "student", "--pairs", pairs, "--root", root, "--eval-frames", 60
    )  # fmt: skip
    assert "p=0.01" in scored


@pytest.mark.skipif(MINIVOX is not None, reason="the whole job runs on real speech")
def test_on_a_generated_corpus(
    veer: Callable[..., str], make_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    make_corpus(tmp_path)
    whole_job(veer, tmp_path, "corpus.yaml", trials=4)


@pytest.mark.skipif(MINIVOX is None, reason="VEER_MINIVOX names no corpus of real speech")
def test_on_real_speech(veer: Callable[..., str], tmp_path: Path) -> None:
    folder = Path(MINIVOX or "").resolve()
    lines = (folder / "train_list.txt").read_text().splitlines(keepends=True)
    speakers = list(dict.fromkeys(line.split()[0] for line in lines))[:NUM_TRAIN_SPEAKERS]
    kept = [line for line in lines if line.split()[0] in speakers]
    (tmp_path / "train_list.txt").write_text("".join(kept))
    places = {
        "train_dir": str(folder / "wav"),
        "train_list": str(tmp_path / "train_list.txt"),
        "val_dir": str(folder / "wav"),
        "val_list": str(folder / "veri_val.txt"),
    }
    write_yaml(tmp_path / "corpus.yaml", places)
    whole_job(veer, tmp_path, "corpus.yaml", trials=2)
