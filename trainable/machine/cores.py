"""The CPUs that this process may use, which may be fewer than the machine has.

Read by everything that chooses threads, processes or trials at once. Needs no PyTorch.
"""

import os
from collections.abc import Iterator
from pathlib import Path

# Set by Slurm for a job that asked for CPUs per task; where it has no cpusets, nothing else does.
SLURM_CPUS = "SLURM_CPUS_PER_TASK"
OPENMP_THREADS = "OMP_NUM_THREADS"
# Where the CPU controller of cgroup v1 is mounted.
V1_MOUNTS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def available_cores(root: Path = Path("/")) -> int:
    """Return the number of CPU cores that this process may use, 1 or more.

    The smallest of: the CPUs of its affinity (`taskset`, cpusets), the quotas of its control
    groups (v2 and v1, rounded down) and `$SLURM_CPUS_PER_TASK`.

    Args:
        root: Folder that holds `proc` and `sys`; another one in tests.
    """
    limits = [affinity_cores(), *map(int, _quotas(root)), *_slurm_cores()]
    return max(1, min(limits))


def affinity_cores() -> int:
    """Return the number of CPUs of this process's affinity; all where the system has none."""
    # macOS has no such call.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def most_threads() -> int:
    """Return the largest number of threads to compute with: the user's, or one for each core."""
    given = os.environ.get(OPENMP_THREADS, "").partition(",")[0].strip()
    return int(given) if given.isascii() and given.isdigit() and int(given) else available_cores()


def set_thread_limit() -> None:
    """Limit OpenMP's threads to the CPUs that this process may use; call it before PyTorch loads.

    By itself OpenMP heeds the affinity and no quota. A number that the user has set is kept.
    """
    cores = available_cores()
    if OPENMP_THREADS not in os.environ and cores < affinity_cores():
        os.environ[OPENMP_THREADS] = str(cores)


def _slurm_cores() -> Iterator[int]:
    given = os.environ.get(SLURM_CPUS, "").strip()
    if given.isascii() and given.isdigit():
        yield int(given)


def _quotas(root: Path) -> Iterator[float]:
    """Yield the CPUs that each control group of this process allows, parents included."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            mounts = ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
        elif "cpu" in controllers.split(","):
            mounts = [f"sys/fs/cgroup/{name}" for name in V1_MOUNTS]
        else:
            continue
        for mount in mounts:
            folder = root / mount
            # In a container the path may be the host's, of which only the mount's root is there.
            parts = Path(group.lstrip("/")).parts
            for depth in range(len(parts) + 1):
                yield from _quota(folder.joinpath(*parts[:depth]))


def _quota(group: Path) -> Iterator[float]:
    """Yield the CPUs that one control group allows, if it has a quota."""
    numbers = _text(group / "cpu.max").split() or [
        *_text(group / "cpu.cfs_quota_us").split(),
        *_text(group / "cpu.cfs_period_us").split(),
    ]
    # `max 100000` in v2, and -1 in v1, mean no quota.
    if len(numbers) == 2 and all(number.isdigit() for number in numbers):
        quota, period = map(int, numbers)
        if quota > 0 and period > 0:
            yield quota / period


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
