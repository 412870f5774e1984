"""What the Ray cluster has, and how many trials fit on it.

The cluster is asked, not the machine that the search was started on.
"""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch

from search.loop.shares import UNITS_PER_WHOLE, ResourceShare
from spaces.files.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of a cluster.

    Attributes:
        address: Its IP address.
        num_cpus: CPUs that Ray may give away.
        num_gpus: GPUs that Ray may give away.
        node_id: Ray's own name of it.
    """

    address: str
    num_cpus: float
    num_gpus: float
    node_id: str = ""


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
            node_id=node.get("NodeID", ""),
        )
        for node in described
        if node["Alive"]
    ]


def num_trials_at_once(share: ResourceShare, nodes: Sequence[Node]) -> int:
    """How many trials the whole cluster can run at a time, if each is given this share.

    Raises:
        ConfigError: No node has what one trial asks for.
    """
    fits = sum(_num_on(share, node) for node in nodes)
    if fits == 0:
        raise ConfigError(_nothing_fits(share, nodes))
    return fits


def require_gpus_here(num_gpus: float) -> None:
    """Refuses GPUs that a cluster of this machine alone cannot have, before Ray is started.

    Raises:
        ConfigError: PyTorch finds fewer here; not where Ray runs already, which is asked later.
    """
    here = Node(
        address="this machine",
        num_cpus=os.cpu_count() or 1,
        num_gpus=torch.cuda.device_count(),
    )
    if num_gpus > here.num_gpus and not ray.is_initialized():
        raise ConfigError(_nothing_fits(ResourceShare(num_cpus=0, num_gpus=num_gpus), [here]))


def num_by_cpu(num_cpus: float, node: Node) -> int:
    """How many trials a node's CPUs carry, if each is given so many."""
    return _times(node.num_cpus, num_cpus)


def at_once_line(at_once: int, fitting: int, share: ResourceShare) -> str:
    """How many trials run at a time and what each has, in a line."""
    threads = "1 thread" if share.num_threads == 1 else f"{share.num_threads} threads"
    many = "1 trial" if at_once == 1 else f"{at_once} trials"
    line = f"at most {many} at a time; the cluster fits {fitting}, each with {threads}"
    if share.num_gpus:
        gpus = "1 GPU" if share.num_gpus == 1 else f"{share.num_gpus:g} GPUs"
        line += f" and {gpus}"
    if share.num_cpus < 1:
        line += (
            f"; resources.cpu={share.num_cpus:g} is less than the thread that a trial computes "
            "with, so the cores are oversubscribed"
        )
    return line


def _num_on(share: ResourceShare, node: Node) -> int:
    by_cpu = num_by_cpu(share.num_cpus, node)
    if share.num_gpus == 0:
        return by_cpu
    if share.num_gpus <= 1:  # a share lies on one GPU
        return min(by_cpu, int(node.num_gpus) * _times(1.0, share.num_gpus))
    return min(by_cpu, _times(node.num_gpus, share.num_gpus))


def _times(there: float, asked: float) -> int:
    """How often a quantity fits, counted as Ray does."""
    return math.floor(round(there * UNITS_PER_WHOLE) / round(asked * UNITS_PER_WHOLE))


def _nothing_fits(share: ResourceShare, nodes: Sequence[Node]) -> str:
    found = "; ".join(
        f"{node.address}: {node.num_cpus:g} CPUs, {node.num_gpus:g} GPUs" for node in nodes
    )
    if share.num_gpus > max((node.num_gpus for node in nodes), default=0.0):
        asked, fix = (
            f"resources.gpu={share.num_gpus:g}",
            "set resources.gpu to 0 to train on CPUs",
        )
    elif share.num_cpus > max((node.num_cpus for node in nodes), default=0.0):
        asked, fix = f"resources.cpu={share.num_cpus:g}", "lower resources.cpu"
    else:
        asked = f"resources.cpu={share.num_cpus:g} together with resources.gpu={share.num_gpus:g}"
        fix = "lower one of them"
    return f"no node of the Ray cluster has {asked} for a trial ({found}); {fix}"
