"""Time and memory of training steps, measured without making a step wait for the device."""

import re
import time
from collections import deque
from pathlib import Path

import torch

from trainable.step.step import StepMeter

BYTES_OF_MIB = 2**20
# Reading /proc takes about 20 us and a step of a tiny student 1 ms: sampling every step would cost
# 2 % of the training.
SAMPLE_EVERY_S = 0.05
STATUS = Path("/proc/self/status")


class CpuMeter(StepMeter):
    """Measures the steps of an epoch, on the CPU.

    Attributes:
        peak_mib: Peak memory of the process at the ends of forward passes, without the pages of
            mapped files; None where the platform does not report it.
    """

    def __init__(self) -> None:
        self.peak_mib: float | None = None
        self._busy_s = 0.0
        self._began_s = 0.0
        self._sampled_s = float("-inf")

    def begin(self) -> None:
        """Record the start of a step, by the host's clock."""
        self._began_s = time.perf_counter()

    def forward_done(self) -> None:
        """Sample the memory, at most every `SAMPLE_EVERY_S`."""
        now_s = time.perf_counter()
        if now_s - self._sampled_s < SAMPLE_EVERY_S:
            return
        self._sampled_s = now_s
        if (own_mib := process_memory_mib()) is not None:
            self.peak_mib = max(own_mib, self.peak_mib or 0.0)

    def end(self) -> None:
        """Add the seconds since `begin` to the busy time."""
        self._busy_s += time.perf_counter() - self._began_s

    def busy_s(self) -> float:
        """Return the seconds inside steps so far."""
        return self._busy_s


class CudaMeter(StepMeter):
    """Measures the steps of an epoch by events on the GPU's stream.

    Args:
        device: The GPU whose memory is measured.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._busy_ms = 0.0
        self._began: torch.cuda.Event | None = None
        self._open: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()
        torch.cuda.reset_peak_memory_stats(device)

    def begin(self) -> None:
        """Record the start event."""
        self._began = self._mark()

    def forward_done(self) -> None:
        """Do nothing: the allocator records the peak."""

    def end(self) -> None:
        """Record the end event, and add up the steps that have finished by now."""
        assert self._began is not None  # noqa: S101 - a step begins before it ends
        self._open.append((self._began, self._mark()))
        # Without waiting; unread, the events of a whole epoch would pile up.
        while self._open and self._open[0][1].query():  # type: ignore[no-untyped-call]
            self._add()

    def busy_s(self) -> float:
        """Return the seconds inside steps so far; this waits for the device."""
        # `elapsed_time` refuses events that have not happened yet.
        torch.cuda.synchronize(self._device)
        while self._open:
            self._add()
        return self._busy_ms / 1e3

    @property
    def peak_mib(self) -> float:
        """Peak memory that PyTorch reserved since the meter was created, MiB; a cap counts it."""
        return torch.cuda.max_memory_reserved(self._device) / BYTES_OF_MIB

    def _mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def _add(self) -> None:
        began, ended = self._open.popleft()
        self._busy_ms += began.elapsed_time(ended)


def epoch_meter(device: torch.device) -> CpuMeter | CudaMeter:
    """Return the meter for a device, for one epoch."""
    return CudaMeter(device) if device.type == "cuda" else CpuMeter()


def process_memory_mib() -> float | None:
    """Return the anonymous memory of this process, MiB; None where the platform has no /proc.

    Mapped files are not counted: the stores are mapped, and their pages can be dropped any time.
    """
    try:
        found = re.search(r"^RssAnon:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if found is None else int(found[1]) / 1024
