"""The logic of the benchmark `gpu`, on a CPU."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.benchmarks.gpu import (
    MPS,
    NO_GPU_STATUS,
    NoSharingServiceError,
    Work,
    compare,
    samples_per_s,
    sharing_service,
    table,
)

TINY = {
    "model": {"family": "mlp_mixer", "hidden_dim": 8, "num_blocks": 1, "num_frames": 40,
              "embedding_dim": 16},
    "loss": {"distillation": "none"},
    "training": {"batch_size": 8, "crop_frames": 40},
}  # fmt: skip
# Logs the arguments and input that MPS's control program would get: -d to start, or commands.
CONTROL = """#!/bin/sh
echo "$* $(cat) $CUDA_MPS_PIPE_DIRECTORY" >> {log}
{rest}
"""


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that puts a control program on the path that ends like this."""
    log = tmp_path / "log"

    def make(rest: str) -> Path:
        program = tmp_path / "bin" / MPS
        program.parent.mkdir()
        program.write_text(CONTROL.format(log=log, rest=rest))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        return log

    return make


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.slow
def test_without_a_gpu_it_prints_the_reason_and_does_not_pass() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.gpu"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == NO_GPU_STATUS
    assert run.stdout == "gpu: not run, PyTorch finds no usable GPU\n"


@pytest.mark.slow
def test_trials_are_processes_of_their_own_whose_rates_are_added(
    make_corpus, tmp_path: Path
) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    work = Work(
        corpus=str(corpus), cache=str(tmp_path / "cache"), config=TINY, device="cpu", window_s=0.3
    )
    assert samples_per_s(2, work, {}) > 0
    broken = TINY | {"training": {"batch_size": 4096, "crop_frames": 40}}
    work = Work(corpus=work.corpus, cache=work.cache, config=broken, device="cpu")
    with pytest.raises(RuntimeError, match=r"batch_size must be at most .* got 4096"):
        samples_per_s(1, work, {})


def test_rows_are_compared_with_the_first() -> None:
    lines: list[str] = []
    rates = table((1, 2, 4), {1: 100.0, 2: 180.0, 4: 250.0}.__getitem__, lines.append)
    assert rates == {1: 100.0, 2: 180.0, 4: 250.0}
    assert [line.split() for line in lines] == [
        ["1", "100", "1.00"], ["2", "180", "1.80"], ["4", "250", "2.50"]
    ]  # fmt: skip


def test_service_is_started_in_its_own_folder_and_ended_whatever_happens(control) -> None:
    log = control("exit 0")
    folders = []

    def fail_beside_it() -> None:
        with sharing_service() as environment:
            folders.append(environment["CUDA_MPS_PIPE_DIRECTORY"])
            assert Path(folders[0]).is_dir()
            raise RuntimeError("a trial ended early")

    with pytest.raises(RuntimeError, match="a trial ended early"):
        fail_beside_it()
    [folder] = folders
    assert [line.split() for line in log.read_text().splitlines()] == [
        ["-d", folder], ["quit", folder]
    ]  # fmt: skip
    assert not Path(folder).exists()


def test_service_that_does_not_start_is_a_reason(control) -> None:
    control('echo "no permission"; exit 1')
    service = sharing_service()
    with pytest.raises(NoSharingServiceError, match="does not start: no permission"):
        service.__enter__()


def test_without_the_service_only_its_half_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tests.benchmarks.gpu.samples_per_s", lambda num, *_: 10.0 * num)
    lines: list[str] = []
    compare(Work(corpus="", cache="", config={}), (1, 2), lines.append)
    assert [line.split() for line in lines[1:3]] == [["1", "10", "1.00"], ["2", "20", "2.00"]]
    assert lines[3] == f"with the process-sharing service (MPS): skipped, {MPS} is not installed"
    assert len(lines) == 4
