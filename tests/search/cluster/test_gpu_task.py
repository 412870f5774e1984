"""A task on a GPU that is only declared: it waits for it for a while, and ends."""

import os

import pytest
import ray
from ray.util.placement_group import placement_group, remove_placement_group

from search.cluster.gpu_task import NoGpuError, run_on_gpu
from search.cluster.resources import cluster_nodes
from spaces.files.errors import ConfigError, TrainingError

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_here")]


def test_a_gpu_that_others_have_is_not_waited_for_for_ever() -> None:
    [node] = cluster_nodes()
    taken = placement_group([{"GPU": 1}])
    assert taken.wait(30)
    try:
        message = rf"the probe got no whole GPU on node {node.address} within 0.5 s: other progr"
        with pytest.raises(NoGpuError, match=message):
            run_on_gpu(os.getpid, what="the probe", node=node, within_s=0.5)
    finally:
        remove_placement_group(taken)


def test_errors_of_a_task_come_back() -> None:
    # Inside the test, so that it travels as code: a worker need not find the module of a test.
    def fail(kind: type[Exception]) -> None:
        raise kind(f"GPU {ray.get_runtime_context().get_accelerator_ids()['GPU'][0]} is used up")

    with pytest.raises(TrainingError, match=r"GPU \d+ is used up"):
        run_on_gpu(fail, TrainingError, what="it")
    with pytest.raises(ConfigError, match=r"it on any node failed: GPU \d+ is used up"):
        run_on_gpu(fail, LookupError, what="it")
