"""A search whose disk fills up while it runs ends with the reason, and can be resumed."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from results.journal.history import trial_histories
from results.journal.journal import read_journal
from spaces.files.yaml_file import write_yaml
from tests.full_disk import can_mount

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.ray_apart]

NUM_TRIALS, MAX_EPOCHS = 3, 4
SPACE = {
    "model": {
        "family": "mlp_mixer",
        "hidden_dim": 64,
        "num_blocks": 2,
        "num_frames": 60,
        "embedding_dim": 32,
    },
    "loss": {"distillation": "none"},
    "training": {
        "batch_size": 8,
        "crop_frames": 60,
        "eval_frames": 60,
        "lr": {"low": 1e-3, "high": 1e-2, "log": True},
    },
}
# The search in a folder that is a disk of its own, until another program has taken what is free;
# what lies there in the end is kept, since the disk goes with this process.
SCRIPT = """
mount -t tmpfs -o size=24m none run
{ until grep -qs '"event":"epoch"' run/journal.jsonl; do sleep 0.1; done
  dd if=/dev/zero of=run/filler bs=4k 2>/dev/null; } &
filling=$!
"$@"
status=$?
kill $filling 2>/dev/null
wait
rm -f run/filler
cp -a run/. kept
exit $status
"""


def veer(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name("veer")), *map(str, arguments)]


@pytest.fixture
def world(tmp_path: Path, make_corpus: Callable[..., Path]) -> Path:
    """A folder to search in, which has a corpus, a space and settings."""
    make_corpus(tmp_path)
    write_yaml(tmp_path / "space.yaml", SPACE)
    settings = {
        "corpus": "corpus.yaml",
        "space": "space.yaml",
        "num_trials": NUM_TRIALS,
        "max_epochs": MAX_EPOCHS,
        "max_concurrent": 1,
        "keep_best": 1,
        "benchmark_top": 0,
        "scheduler": {"kind": "none"},
    }
    write_yaml(tmp_path / "settings.yaml", settings)
    for name in ("run", "kept"):
        (tmp_path / name).mkdir()
    return tmp_path


def done_in(world: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[3])
    environment = os.environ | {
        "VEER_CACHE": str(world / "cache"), "COLUMNS": "200", "PYTHONPATH": root,
    }  # fmt: skip
    return subprocess.run(
        command, cwd=world, env=environment, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


def test_a_disk_that_fills_up_ends_the_search_with_the_reason(world: Path) -> None:
    if not can_mount(world / "run"):
        pytest.fail("this system allows no user to mount a small disk: unshare -rm")
    command = veer("search", "settings.yaml", "--run", "run")
    ended = done_in(world, ["unshare", "-rm", "sh", "-c", SCRIPT, "sh", *command])
    output = ended.stdout + ended.stderr
    assert ended.returncode != 0, output
    assert "No space left on device" in output
    assert "Traceback" not in output

    kept = world / "kept"
    left = [path.name for path in kept.rglob("*") if path.name.endswith((".building", ".tmp"))]
    assert left == []
    before = trial_histories(read_journal(kept / "journal.jsonl"))
    assert any(trial.in_order for trial in before)
    assert all(trial.state not in ("failed", "diverged") for trial in before)

    (world / "run").rmdir()
    run = kept.rename(world / "run")
    resumed = done_in(world, veer("resume", "run"))
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    records = read_journal(run / "journal.jsonl")
    epochs = [(each.trial, each.epoch) for each in records if each.event == "epoch"]
    expected = [(n, e) for n in range(NUM_TRIALS) for e in range(1, MAX_EPOCHS + 1)]
    assert sorted(epochs) == expected
    assert [trial.state for trial in trial_histories(records)] == ["complete"] * NUM_TRIALS
