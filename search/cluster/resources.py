"""The resources of a Ray cluster, and how many trials fit on it.

The numbers are Ray's, not those of the machine on which the search was started.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch

from search.loop.shares import ResourceShare, num_fitting
from spaces.files.errors import ConfigError
from trainable.machine.cores import available_cores
from trainable.machine.engine import require_precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of a cluster.

    Attributes:
        address: Its IP address.
        num_cpus: CPUs that Ray may assign.
        num_gpus: GPUs that Ray may assign.
        node_id: Ray's own identifier of the node.
    """

    address: str
    num_cpus: float
    num_gpus: float
    node_id: str = ""


def cluster_nodes() -> list[Node]:
    """Return the live nodes of the cluster that this process is connected to."""
    return nodes_of(ray.nodes())  # type: ignore[no-untyped-call]


def nodes_of(described: Iterable[Mapping[str, Any]]) -> list[Node]:
    """Return the live nodes of Ray's description, as `ray.nodes` returns it."""
    return [
        Node(
            address=node["NodeManagerAddress"],
            num_cpus=float(node["Resources"].get("CPU", 0.0)),
            num_gpus=float(node["Resources"].get("GPU", 0.0)),
            node_id=node.get("NodeID", ""),
        )
        for node in described
        # Ray goes on to list nodes that have left the cluster.
        if node["Alive"]
    ]


def num_trials_at_once(share: ResourceShare, nodes: Sequence[Node]) -> int:
    """Return how many trials the whole cluster can run at once, each with this share.

    Raises:
        ConfigError: No node has what one trial asks for.
    """
    fits = sum(num_on(share, node) for node in nodes)
    if fits == 0:
        raise ConfigError(_nothing_fits(share, nodes))
    return fits


def require_gpus_here(num_gpus: float) -> None:
    """Refuse more GPUs than this machine has, before a local Ray is started.

    Raises:
        ConfigError: PyTorch finds fewer here. Never raised where Ray runs already: its own
            numbers are checked later.
    """
    here = Node(
        address="this machine",
        num_cpus=available_cores(),
        num_gpus=torch.cuda.device_count(),
    )
    if num_gpus > here.num_gpus and not ray.is_initialized():
        raise ConfigError(_nothing_fits(ResourceShare(num_cpus=0, num_gpus=num_gpus), [here]))


def require_precision_here(precision: str) -> None:
    """Refuse a precision that needs a GPU where this machine has none, before a Ray is started.

    Raises:
        ConfigError: It is float16. Never raised where Ray runs already, as `require_gpus_here`.
    """
    if torch.cuda.device_count() == 0 and not ray.is_initialized():
        require_precision(precision, "the CPU (this machine has no GPU)")


def num_by_cpu(num_cpus: float, node: Node) -> int:
    """Return how many trials a node's CPUs carry, each with `num_cpus` of them."""
    return num_fitting(node.num_cpus, num_cpus)


def at_once_line(at_once: int, fitting: int, share: ResourceShare) -> str:
    """Return a line with the number of trials at once and the resources of each."""
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


def num_on(share: ResourceShare, node: Node) -> int:
    """Return how often a node has what a share reserves."""
    by_cpu = num_by_cpu(share.num_cpus, node)
    if share.num_gpus == 0:
        return by_cpu
    if share.num_gpus <= 1:  # a fraction cannot be spread over GPUs
        return min(by_cpu, int(node.num_gpus) * num_fitting(1.0, share.num_gpus))
    return min(by_cpu, num_fitting(node.num_gpus, share.num_gpus))


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
