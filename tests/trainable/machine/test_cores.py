"""The CPUs that a process may use: affinity, quotas of control groups, Slurm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.cluster import connection
from search.cluster.nodes import NodeOptions
from trainable.machine import cores
from trainable.machine.cores import available_cores, set_thread_limit


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "affinity_cores", lambda: 8)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "1600000 100000\n"}, 8),
        # The quota of a parent, and a path of the host that a container does not see.
        (
            "0::/a/b\n",
            {"sys/fs/cgroup/a/cpu.max": "300000 100000\n",
             "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"},
            3,
        ),
        ("0::/of/the/host\n", {"sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3),
        (
            "5:memory:/m\n4:cpu,cpuacct:/job\n0::/\n",
            {"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "150000\n",
             "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "50000\n"},
            3,
        ),
        (
            "1:cpu:/\n",
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
             "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"},
            8,
        ),
        ("1:cpu:/\n", {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "damaged"}, 8),
        ("", {}, 8),
    ],
)  # fmt: skip
def test_a_quota_of_a_control_group_counts(groups, files, expected, tmp_path: Path) -> None:
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cores(tmp_path) == expected


@pytest.mark.parametrize(
    ("given", "expected"), [("3", 3), ("12", 8), ("0", 1), ("", 8), ("4(x2)", 8)]
)
def test_the_cpus_of_a_slurm_task_count(given, expected, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", given)
    assert available_cores(tmp_path) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_the_affinity_of_the_process_counts() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from trainable.machine.cores import available_cores; print(available_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_openmp_is_limited_only_by_what_it_does_not_heed_itself(monkeypatch) -> None:
    monkeypatch.setattr(cores, "available_cores", lambda: 8)
    set_thread_limit()
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setattr(cores, "available_cores", lambda: 3)
    set_thread_limit()
    assert os.environ["OMP_NUM_THREADS"] == "3"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    set_thread_limit()
    assert os.environ["OMP_NUM_THREADS"] == "5"


def test_ray_is_started_with_the_cpus_of_this_process(monkeypatch) -> None:
    """`taskset -c 0 veer search` must run one trial at a time."""
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    given: dict[str, object] = {}
    monkeypatch.setattr(connection.ray, "init", lambda _, **options: given.update(options))
    monkeypatch.setattr(connection.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(connection.ray, "shutdown", lambda: None)
    with connection.connected(None):
        assert given["num_cpus"] == 3
    with connection.connected(None, num_cpus=1):
        assert given["num_cpus"] == 1
    assert "--num-cpus=3" in NodeOptions().arguments()
    assert "--num-cpus=6" in NodeOptions(num_cpus=6).arguments()
