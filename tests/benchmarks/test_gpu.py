"""The logic of the benchmark `gpu`, on a CPU."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.benchmarks import gpu, gpu_limits
from tests.benchmarks.gpu import NO_GPU_STATUS, compare, compare_shared, run_rows, table
from tests.benchmarks.gpu_sharing import MPS, NoSharingServiceError, sharing_service
from tests.benchmarks.gpu_trials import Work, samples_per_s, visible_gpu
from tests.benchmarks.operators import student_config
from tests.worlds.corpus import write_corpus

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
    assert [line.split() for line in lines[1:]] == [
        ["1", "100", "1.00"], ["2", "180", "1.80"], ["4", "250", "2.50"]
    ]  # fmt: skip


@pytest.mark.parametrize("broken", [1, 2, 8])
def test_a_row_that_runs_out_of_memory_leaves_the_others(broken: int) -> None:
    lines: list[str] = []

    def rate_of(num_trials: int) -> float:
        if num_trials == broken:
            raise RuntimeError("Traceback ...\ntorch.OutOfMemoryError: CUDA out of memory.")
        return 100.0 * num_trials

    rates = table((1, 2, 8), rate_of, lines.append)
    assert list(rates) == [num for num in (1, 2, 8) if num != broken]
    [failed] = [line for line in lines if "failed" in line]
    assert failed.split() == [
        str(broken), "failed", "torch.OutOfMemoryError:", "CUDA", "out", "of", "memory."
    ]  # fmt: skip
    # Compared with the first row that there is.
    assert lines[-1].split()[-1] == {1: "4.00", 2: "8.00", 8: "2.00"}.get(broken) or broken == 8


def test_all_gpus_get_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    started: list[tuple[float, str]] = []

    class Trial(subprocess.Popen[str]):
        """A process that is ready at once and prints a rate."""

    def start(work: Work, share: float, environment: dict[str, str]) -> Trial:
        del work
        started.append((share, environment["CUDA_VISIBLE_DEVICES"]))
        code = "print('ready', flush=True); input(); print(10.0)"
        return Trial(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    monkeypatch.setattr("tests.benchmarks.gpu_trials.start_trial", start)
    assert samples_per_s(2, Work(corpus="", cache="", config={}), {}, num_gpus=2) == 40.0
    assert sorted(started) == [(0.5, "3"), (0.5, "3"), (0.5, "5"), (0.5, "5")]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_gpu(1) == "1"


def test_rows_are_of_both_students_and_outlive_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rate(num_trials: int, work: Work, *_: object) -> float:
        if work.engine and "hidden_dim" not in work.config["model"]:
            raise RuntimeError("CUDA error: operation not permitted")
        return 10.0 * num_trials

    def limits(config: object, device: torch.device) -> str:
        del config
        if device.type == "cuda":
            raise RuntimeError("CUDA out of memory.")
        return ""

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(gpu, "samples_per_s", rate)
    monkeypatch.setattr(gpu, "card_limits", limits)
    monkeypatch.setattr(gpu, "load_training_data", lambda *_, **__: None)
    # Nobody reads its recordings, of which a real card needs a thousand.
    monkeypatch.setattr(gpu, "write_corpus", lambda folder, **_: write_corpus(folder))
    lines: list[str] = []
    run_rows(tmp_path, (1, 2), 1.0, lines.append)
    assert [line for line in lines if "student" in line] == [
        "2.66M student, 2 GPUs", "0.58M student, 2 GPUs"
    ]  # fmt: skip
    assert sum("failed" in line for line in lines) == 2 + 2
    assert [line.split()[-1] for line in lines[-2:]] == ["1.00", "2.00"]


def test_limits_of_a_card_are_computed_from_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_limits, "COPY_BYTES", 1 << 12)
    monkeypatch.setattr(gpu_limits, "SIDE", 16)
    config = student_config(4, hidden_dim=8, num_blocks=1)
    line = gpu_limits.card_limits(config, torch.device("cpu"))
    assert re.match(r"limits: memory \d+ GB/s, \d+ samples/s for \d\.\d GB .* 0 GMACs", line)


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


def test_without_the_service_its_rows_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpu, "samples_per_s", lambda num, *_: 10.0 * num)
    lines: list[str] = []
    work = Work(corpus="", cache="", config={})
    compare(work, (1, 2), lines.append)
    assert lines[0] == "steps as usual"
    assert [line.split() for line in lines[2:4]] == [["1", "10", "1.00"], ["2", "20", "2.00"]]
    assert lines[4] == "steps captured"
    compare_shared(work, (1, 2), lines.append)
    assert lines[8:] == [
        f"with the process-sharing service (MPS): skipped, {MPS} is not installed"
    ]
