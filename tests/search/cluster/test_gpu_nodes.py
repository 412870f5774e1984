"""What a node reports of its GPUs, and that trials keep off nodes that are not to be used."""

import os
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import ray
import torch
from ray.util.placement_group import remove_placement_group

from search.cluster import gpu_nodes, store_build
from search.cluster.gpu_nodes import VISIBLE, NodeGpus, inspect_gpus, look_at_gpus, require_gpu_for
from search.cluster.resources import Node, cluster_nodes
from search.cluster.store_build import building_device
from trainable.machine.engine import EngineConfig
from trainable.training.ray_trial import StudentTrial

T4, H200 = SimpleNamespace(name="Tesla T4", major=7), SimpleNamespace(name="H200", major=9)


def make_up(monkeypatch: pytest.MonkeyPatch, *found: SimpleNamespace) -> None:
    """Make PyTorch report usable GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(found))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(found))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: found[i])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: found[0].name)
    has_bfloat16 = bool(found) and found[0].major >= 8
    monkeypatch.setattr(gpu_nodes, "gpu_has_bfloat16", lambda: has_bfloat16)


@pytest.mark.parametrize(
    ("gpus", "names", "has_bfloat16"),
    [
        ((T4, T4), ("Tesla T4",), False),
        ((H200,), ("H200",), True),
        ((H200, T4), ("H200", "Tesla T4"), False),
    ],
)
def test_a_node_reports_its_gpus_also_from_a_task_that_reserves_none(
    monkeypatch: pytest.MonkeyPatch,
    gpus: tuple[SimpleNamespace, ...],
    names: tuple[str, ...],
    has_bfloat16: bool,
) -> None:
    make_up(monkeypatch, *gpus)
    monkeypatch.setenv(VISIBLE, "")
    assert inspect_gpus() == {"names": names, "has_bfloat16": has_bfloat16}
    assert VISIBLE not in os.environ


def test_a_node_reports_why_its_gpus_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    make_up(monkeypatch)
    assert "sees none: the driver is missing" in inspect_gpus()["fault"]
    monkeypatch.setattr(gpu_nodes, "why_none", lambda: "the driver is too old")
    assert inspect_gpus() == {"fault": "the driver is too old"}


def test_a_node_that_joins_with_another_gpu_is_no_fault_of_the_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "10.0.0.9")
    bfloat16 = EngineConfig(precision="bfloat16")
    make_up(monkeypatch, H200)
    require_gpu_for(bfloat16)
    make_up(monkeypatch, T4)
    require_gpu_for(EngineConfig(precision="float16"))
    with pytest.raises(RuntimeError, match=r"10.0.0.9 cannot train .* Tesla T4 has no bfloat16"):
        require_gpu_for(bfloat16)
    monkeypatch.setattr(gpu_nodes, "why_unusable", lambda: "the driver is too old")
    with pytest.raises(RuntimeError, match=r"10.0.0.9 cannot train .*: the driver is too old"):
        require_gpu_for(EngineConfig(precision="float16"))


@pytest.mark.parametrize(
    ("device", "num_gpus", "expected"),
    [("auto", 0, "cpu"), ("auto", 2, "cuda"), ("cpu", 2, "cpu"), ("cuda", 0, "cuda")],
)
def test_targets_are_computed_on_a_gpu_where_there_is_one_and_it_may_be_used(
    monkeypatch: pytest.MonkeyPatch, device: str, num_gpus: int, expected: str
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: num_gpus)
    assert building_device(device, None) == expected
    monkeypatch.setattr(store_build, "connected", lambda address: nullcontext(address))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"GPU": num_gpus})
    assert building_device(device, "10.0.0.1:6379") == expected


@pytest.mark.cluster
@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a GPU that is only declared")
@pytest.mark.usefixtures("ray_here")
def test_nodes_answer_and_a_trial_keeps_off_a_node_that_it_must_not_use() -> None:
    [node] = cluster_nodes()
    gone = Node(address="10.9.9.9", num_cpus=1, num_gpus=1, node_id="0" * 56)
    here, missing = look_at_gpus([node, gone], answer_within_s=60)
    assert (here.node, "sees none: " in here.fault) == (node, True)
    assert isinstance(missing, NodeGpus)
    assert missing.fault is not None
    for avoided, is_placed in (([gone.node_id], True), ([gone.node_id, node.node_id], False)):
        config = {"num_cpus": 1, "num_gpus": 0.5, "avoided": avoided}
        group = StudentTrial.default_resource_request(config).to_placement_group()
        assert group.wait(5 if is_placed else 1) is is_placed
        remove_placement_group(group)
