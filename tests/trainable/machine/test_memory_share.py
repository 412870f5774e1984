import gc
import os
import subprocess
import sys
import weakref

import pytest
import torch

from spaces.files.errors import TrainingError
from tests.worlds.made_up_gpu import MadeUpGpu
from trainable.machine.memory_share import (
    ALLOCATOR_VARIABLES,
    GROWING_SEGMENTS,
    cap_memory,
    is_crowded,
    is_out_of_memory,
    memory_fraction,
    release_memory,
    set_compute_threads,
    spare_modules,
)

MIB = 2**20
TAKES_TOO_MUCH = """
import sys, torch
from trainable.machine.memory_share import cap_memory
device = torch.device("cuda")
total = torch.cuda.get_device_properties(device).total_memory
share = 0.2
cap_memory(device, share, 512 * 2**20)
try:
    held = torch.empty(int(share * total), dtype=torch.uint8, device=device)
except torch.OutOfMemoryError:
    print("out of memory", flush=True)
held = torch.empty(int(share * total) // 2, dtype=torch.uint8, device=device)
print("half is fine", flush=True)
"""

COUNTS_THREADS = """
import sys, torch
from pathlib import Path
from trainable.machine.memory_share import set_compute_threads

def busy_threads():  # with more than 20 ms of processor time; PyTorch has idle ones too
    # Not `stat`: it counts in ticks of 10 ms, which short turns of a thread fall between.
    spent_ns = {
        each.parent.name: int(each.read_text().split()[0])
        for each in Path("/proc/self/task").glob("*/schedstat")
    }
    return {name for name, spent in spent_ns.items() if spent > 20e6}

before = busy_threads()
set_compute_threads(int(sys.argv[1]))
x = torch.randn(2048, 1024, requires_grad=True)
for _ in range(60):
    torch.tanh(x).sum().backward()
print(len(busy_threads() - before), torch.get_num_interop_threads())
"""


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 4000000000000 bytes. Error code 12"
        ),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError(
            "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"
        ),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"),
        RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
        RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDn`"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError("CUDA driver error: out of memory"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
        RuntimeError("NVML_SUCCESS == r INTERNAL ASSERT FAILED: DEVICE_ALLOCATION_FAILED"),
    ],
)
def test_error_of_running_out_of_memory_is_recognised(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (8x12 and 13x4)"),
        ValueError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("Triton Error [CUDA]: device kernel image is invalid"),
        RuntimeError("out of resource: shared memory, Required: 99, Hardware limit: 64"),
    ],
)
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)


def test_error_that_running_out_of_memory_caused_is_recognised():
    full = torch.OutOfMemoryError("CUDA out of memory.")
    with pytest.raises(RuntimeError, match="compiling") as by_cause:
        raise RuntimeError("while compiling") from full
    assert is_out_of_memory(by_cause.value)
    hidden = ValueError("while it was handled")  # as `raise ... from None` leaves it
    hidden.__context__, hidden.__suppress_context__ = full, True
    assert is_out_of_memory(hidden)


def test_errors_that_name_each_other_come_to_an_end():
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert not is_out_of_memory(one)


def test_pytorchs_error_on_a_cpu_without_memory_is_recognised():
    with pytest.raises(RuntimeError, match=r"can't allocate|not enough memory") as raised:
        torch.empty(2**55)
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize(
    ("share", "context_mib", "total_mib", "fraction"),
    [
        (0.25, 512, 8192, 0.25 - 0.0625),
        (0.5, 0, 8192, 0.5),
        (1, 512, 8192, 1),  # no other process is there
        (2, 512, 8192, 1),
    ],
)
def test_pytorch_may_take_the_share_less_the_context(share, context_mib, total_mib, fraction):
    found = memory_fraction(share, context_bytes=context_mib * MIB, total_bytes=total_mib * MIB)
    assert found == pytest.approx(fraction)


def test_share_that_the_context_would_fill_by_itself_is_refused():
    message = r"resources.gpu=0.05 of a GPU of 8000 MiB is 400 MiB, .* about 512 MiB .*; raise"
    with pytest.raises(TrainingError, match=message):
        memory_fraction(0.05, context_bytes=512 * MIB, total_bytes=8000 * MIB)


@pytest.mark.parametrize(("name", "index"), [("cuda", 1), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_gpu_is_capped_by_its_number_or_as_the_current_one(
    monkeypatch: pytest.MonkeyPatch, name: str, index: int
) -> None:
    gpu = MadeUpGpu(monkeypatch, total_bytes=8192 * MIB)
    cap_memory(torch.device(name), 0.25, 512 * MIB)
    assert gpu.fractions == {index: 0.25 - 0.0625}


@pytest.mark.parametrize(
    ("share", "reserved_mib", "free_mib", "expected"),
    [
        # A quarter of 8192 MiB less 512 is 1536 MiB.
        (0.25, 1500, 400, False),  # its own cap
        (0.25, 1000, 600, False),
        (0.25, 1000, 300, False),  # CUDA itself takes more than it is known to
        (0.25, 1000, 200, True),  # 536 MiB are its own
        (1, 7600, 60, False),
        (1, 3000, 600, True),
    ],
)
def test_gpu_is_crowded_where_others_have_more_than_their_shares(
    monkeypatch: pytest.MonkeyPatch, share, reserved_mib, free_mib, expected
) -> None:
    assert not is_crowded(share, 512 * MIB)  # CUDA was not started
    MadeUpGpu(monkeypatch, total_bytes=8192 * MIB, free_bytes=free_mib * MIB)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: reserved_mib * MIB)
    assert is_crowded(share, 512 * MIB) is expected


def test_gpu_without_room_for_cuda_itself_is_crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", fail)
    assert is_crowded(0.25, 512 * MIB)


@pytest.mark.parametrize("variable", [None, "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"])
def test_segments_grow_unless_the_user_has_set_the_allocator(
    monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    gpu = MadeUpGpu(monkeypatch, total_bytes=8192 * MIB)
    for name in ALLOCATOR_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "backend:native")
    cap_memory(torch.device("cuda"), 0.25, 512 * MIB)
    assert gpu.allocator_settings == ([] if variable else ["expandable_segments:True"])


def test_pytorch_knows_the_setting_of_the_allocator() -> None:
    torch._C._accelerator_setAllocatorSettings(GROWING_SEGMENTS)
    with pytest.raises(ValueError, match="expandable_segmentz"):
        torch._C._accelerator_setAllocatorSettings("expandable_segmentz:True")


def test_nothing_is_capped_on_a_cpu():
    cap_memory(torch.device("cpu"), 0.01, 512 * MIB)
    release_memory()


def test_threads_are_set_again_for_the_next_trial():
    before = torch.get_num_threads()
    try:
        for num in (2, 1):
            set_compute_threads(num)
            assert torch.get_num_threads() == num
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("num_threads", [1, 4])
def test_a_process_computes_with_its_threads_and_no_more(num_threads):
    """The setting holds against OMP_NUM_THREADS, which Ray sets for its workers."""
    environment = os.environ | {"OMP_NUM_THREADS": "1" if num_threads > 1 else "8"}
    out = subprocess.run(
        [sys.executable, "-c", COUNTS_THREADS, str(num_threads)],
        capture_output=True, text=True, check=True, env=environment,
    ).stdout  # fmt: skip
    # The threads that were started beside the main one, and those between operators.
    assert out.split() == [str(num_threads - 1), "1"]


@pytest.mark.gpu
def test_process_that_takes_more_than_its_share_leaves_its_neighbour_alone():
    device = torch.device("cuda")
    total = torch.cuda.get_device_properties(device).total_memory
    mine = torch.full((total // 2,), 7, dtype=torch.uint8, device=device)
    greedy = subprocess.run(
        [sys.executable, "-c", TAKES_TOO_MUCH], capture_output=True, text=True, check=False
    )
    assert greedy.stdout.splitlines() == ["out of memory", "half is fine"], greedy.stderr
    assert int(mine[-1]) == 7
    more = torch.ones(1024, device=device)
    assert float((more * 2).sum()) == 2048


@pytest.mark.gpu
def test_next_trial_of_a_process_has_its_own_cap():
    device = torch.device("cuda")
    total = torch.cuda.get_device_properties(device).total_memory
    size = int(0.3 * total)
    # Blocks that an earlier test left in the cache are given out again without a look at the cap.
    release_memory()
    try:
        cap_memory(device, 0.2, 0)
        with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
            torch.empty(size, dtype=torch.uint8, device=device)
        cap_memory(device, 0.4, 0)
        assert torch.empty(size, dtype=torch.uint8, device=device).numel() == size
    finally:
        release_memory()
        cap_memory(device, 1, 0)


def test_modules_are_exempt_from_collection_and_later_cycles_are_not():
    spare_modules()
    assert gc.get_freeze_count() > 0
    cycle = [torch.zeros(1)]
    seen = weakref.ref(cycle[0])
    cycle.append(cycle)
    del cycle
    release_memory()
    assert seen() is None
