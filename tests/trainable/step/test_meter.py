"""Time and memory of training steps."""

import mmap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from trainable.step import meter as module
from trainable.step.meter import CpuMeter, CudaMeter, epoch_meter, process_memory_mib

MEASURED = pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="the platform does not report memory"
)


def filled_mib(num_mib: int) -> np.ndarray:
    """Memory straight from the system: what a library freed and kept is not used again."""
    pages = mmap.mmap(-1, num_mib * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    filled = np.frombuffer(pages, np.uint8)
    filled.fill(1)
    return filled


@MEASURED
def test_own_memory_grows_by_what_is_filled_and_not_by_mapped_files(tmp_path: Path) -> None:
    before = process_memory_mib()
    filled = filled_mib(40)
    grown = process_memory_mib()
    assert 38 <= grown - before <= 45
    np.save(tmp_path / "mapped.npy", filled)
    mapped = np.load(tmp_path / "mapped.npy", mmap_mode="r")
    assert mapped.sum() == filled.size
    assert process_memory_mib() - grown < 5


@MEASURED
def test_the_peak_is_that_of_the_fullest_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE_EVERY_S", 0)
    meter = CpuMeter()
    for num_mib in (1, 60, 2):
        meter.begin()
        held = filled_mib(num_mib)
        meter.forward_done()
        del held
        meter.end()
    assert meter.peak_mib - process_memory_mib() > 50


def test_a_platform_that_does_not_report_memory_has_no_peak(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for text in (None, "VmRSS: 5 kB\n"):
        file = tmp_path / "status"
        if text:
            file.write_text(text)
        monkeypatch.setattr(module, "STATUS", file)
        meter = CpuMeter()
        meter.begin()
        meter.forward_done()
        meter.end()
        assert meter.peak_mib is None


def test_time_between_steps_is_not_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 0.1, 2.0, 10.0, 10.1, 13.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    meter = epoch_meter(torch.device("cpu"))
    for _ in range(2):
        meter.begin()
        meter.forward_done()
        meter.end()
    assert meter.busy_s() == 2.0 + 3.0


def test_the_peak_on_a_gpu_is_what_was_reserved_which_a_cap_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reset: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: 7 * 2**20)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 5 * 2**20)
    device = torch.device("cuda")
    assert CudaMeter(device).peak_mib == 7
    assert reset == [device]


@pytest.mark.gpu
def test_events_add_up_and_the_allocator_keeps_the_peak() -> None:
    device = torch.device("cuda")
    meter = epoch_meter(device)
    assert isinstance(meter, CudaMeter)
    started = time.perf_counter()
    for _ in range(20):
        meter.begin()
        product = torch.ones(2048, 2048, device=device) @ torch.ones(2048, 2048, device=device)
        meter.forward_done()
        meter.end()
    busy_s = meter.busy_s()
    assert 0 < busy_s <= time.perf_counter() - started
    assert meter.peak_mib >= 3 * product.nbytes / 2**20
