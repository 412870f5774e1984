"""What the Ray cluster has, and how many trials fit on it.

The cluster is asked, not the machine that the search was started on.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from search.config import ResourceConfig
from spaces.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of a cluster.

    Attributes:
        address: Its IP address.
        num_cpus: CPUs that Ray may give away.
        num_gpus: GPUs that Ray may give away.
    """

    address: str
    num_cpus: float
    num_gpus: float


def cluster_nodes() -> list[Node]:
    """Asks the cluster that this process is connected to for its live nodes."""
    return nodes_of(ray.nodes())  # type: ignore[no-untyped-call]


def nodes_of(described: Iterable[Mapping[str, Any]]) -> list[Node]:
    """Reads Ray's description of the nodes, leaving out dead ones."""
    return [
        Node(
            address=node["NodeManagerAddress"],
            num_cpus=float(node["Resources"].get("CPU", 0.0)),
            num_gpus=float(node["Resources"].get("GPU", 0.0)),
        )
        for node in described
        if node["Alive"]
    ]


def num_trials_at_once(resources: ResourceConfig, nodes: Sequence[Node]) -> int:
    """How many trials the whole cluster can run at a time.

    Raises:
        ConfigError: No node has what one trial asks for.
    """
    fits = sum(_num_on(resources, node) for node in nodes)
    if fits == 0:
        raise ConfigError(_nothing_fits(resources, nodes))
    return fits


def _num_on(resources: ResourceConfig, node: Node) -> int:
    by_cpu = _times(node.num_cpus, resources.cpu)
    if resources.gpu == 0:
        return by_cpu
    if resources.gpu <= 1:  # a share lies on one GPU
        return min(by_cpu, int(node.num_gpus) * _times(1.0, resources.gpu))
    return min(by_cpu, _times(node.num_gpus, resources.gpu))


def _times(there: float, asked: float) -> int:
    """How often a quantity fits; Ray counts in ten-thousandths."""
    return math.floor(round(there * 10_000) / round(asked * 10_000))


def _nothing_fits(resources: ResourceConfig, nodes: Sequence[Node]) -> str:
    found = "; ".join(
        f"{node.address}: {node.num_cpus:g} CPUs, {node.num_gpus:g} GPUs" for node in nodes
    )
    if resources.gpu > max((node.num_gpus for node in nodes), default=0.0):
        asked, fix = f"resources.gpu={resources.gpu:g}", "set resources.gpu to 0 to train on CPUs"
    elif resources.cpu > max((node.num_cpus for node in nodes), default=0.0):
        asked, fix = f"resources.cpu={resources.cpu:g}", "lower resources.cpu"
    else:
        asked = f"resources.cpu={resources.cpu:g} together with resources.gpu={resources.gpu:g}"
        fix = "lower one of them"
    return f"no node of the Ray cluster has {asked} for a trial ({found}); {fix}"
