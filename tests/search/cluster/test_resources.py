import pytest
import ray
import torch

from search.cluster.resources import (
    Node,
    nodes_of,
    num_trials_at_once,
    require_gpus_here,
    require_precision_here,
)
from search.loop.shares import ResourceShare
from spaces.files.errors import ConfigError

CPU_NODE = Node(address="10.0.0.1", num_cpus=8, num_gpus=0)
GPU_NODE = Node(address="10.0.0.2", num_cpus=16, num_gpus=2)


@pytest.mark.parametrize(
    ("cpu", "gpu", "nodes", "fits"),
    [
        (1, 0, [CPU_NODE], 8),
        (3, 0, [CPU_NODE, GPU_NODE], 2 + 5),
        (0.1, 0, [CPU_NODE], 80),
        (1, 0.25, [CPU_NODE, GPU_NODE], 8),
        (1, 0.4, [GPU_NODE], 4),
        (1, 1 / 3, [GPU_NODE], 6),
        (4, 0.25, [GPU_NODE], 4),
        (1, 2, [GPU_NODE], 1),
        (16, 1, [CPU_NODE, GPU_NODE], 1),
    ],
)
def test_trials_at_once_on_the_whole_cluster(cpu, gpu, nodes, fits):
    assert num_trials_at_once(ResourceShare(num_cpus=cpu, num_gpus=gpu), nodes) == fits


@pytest.mark.parametrize(
    ("cpu", "gpu", "message"),
    [
        (1, 1, r"no node .* has resources.gpu=1 for a trial \(10.0.0.1: 8 CPUs, 0 GPUs\); set"),
        (9, 0, r"no node .* has resources.cpu=9 for a trial .*; lower resources.cpu"),
    ],
)
def test_what_no_node_has_is_named(cpu, gpu, message):
    with pytest.raises(ConfigError, match=message):
        num_trials_at_once(ResourceShare(num_cpus=cpu, num_gpus=gpu), [CPU_NODE])


@pytest.mark.parametrize(("asked", "there"), [(0.5, 0), (2, 1)])
def test_gpus_that_this_machine_lacks_are_refused_before_ray_is_started(
    monkeypatch: pytest.MonkeyPatch, asked: float, there: int
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    message = rf"resources.gpu={asked} for a trial \(this machine: \d+ CPUs, {there} GPUs\); set"
    with pytest.raises(ConfigError, match=message):
        require_gpus_here(asked)
    require_gpus_here(there)
    # GPUs may be declared to a Ray that runs: it is asked.
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    require_gpus_here(asked)


def test_float16_is_refused_before_ray_is_started_where_no_gpu_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match=r"got float16 on the CPU \(this machine has no GPU\)"):
        require_precision_here("float16")
    require_precision_here("auto")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    require_precision_here("float16")


def test_cpus_of_one_node_and_gpus_of_another_are_not_added():
    small = Node(address="10.0.0.3", num_cpus=2, num_gpus=1)
    with pytest.raises(ConfigError, match=r"resources.cpu=4 together with resources.gpu=1"):
        num_trials_at_once(ResourceShare(num_cpus=4, num_gpus=1), [CPU_NODE, small])


def test_dead_nodes_do_not_count():
    described = [
        {"NodeManagerAddress": "10.0.0.1", "Alive": True, "Resources": {"CPU": 8.0}},
        {"NodeManagerAddress": "10.0.0.9", "Alive": False, "Resources": {"CPU": 99.0}},
    ]
    assert nodes_of(described) == [CPU_NODE]
