"""The share of a GPU with which trials spread over the GPUs of a cluster.

Ray fills one GPU before the next: a part of a GPU goes where the least is left over. Four trials
with a quarter of a GPU each would share one of two GPUs. Ray has no option for it, so only the
size of the shares can spread them.
"""

from collections.abc import Sequence
from dataclasses import replace

from search.cluster.resources import Node, num_by_cpu, num_trials_at_once
from search.loop.shares import ResourceShare, num_fitting, part_of_gpu


def spread(share: ResourceShare, nodes: Sequence[Node], most_at_once: int) -> ResourceShare:
    """Return the largest share with which as many trials run at once as with the given one.

    With it no GPU has more trials than it must have.

    Args:
        share: What a trial needs at least.
        nodes: The cluster's nodes.
        most_at_once: Trials that the search runs at the same time, at most.

    Raises:
        ConfigError: No node has what one trial asks for.
    """
    if not 0 < share.num_gpus < 1:
        return share
    at_once = min(most_at_once, num_trials_at_once(share, nodes))
    wider = (
        replace(share, num_gpus=part_of_gpu(num))
        for num in range(1, num_fitting(1.0, share.num_gpus))
    )
    return next((each for each in wider if num_trials_at_once(each, nodes) >= at_once), share)


def num_spreading_gpus(share: ResourceShare, nodes: Sequence[Node]) -> int:
    """Return the number of GPUs over which larger shares may spread trials, else 0.

    Where CPUs decide how many trials a node of several carries, a larger share might find its
    place only on a node without free CPUs.
    """
    if not 0 < share.num_gpus < 1:
        return 0
    with_gpu = [node for node in nodes if node.num_gpus >= 1 and node.num_cpus >= share.num_cpus]
    per_gpu = num_fitting(1.0, share.num_gpus)
    has_cpus = (
        num_by_cpu(share.num_cpus, node) >= int(node.num_gpus) * per_gpu for node in with_gpu
    )
    if len(with_gpu) > 1 and not all(has_cpus):
        return 0
    num_gpus = sum(int(node.num_gpus) for node in with_gpu)
    return num_gpus if num_gpus > 1 else 0
