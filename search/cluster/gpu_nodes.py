"""The GPUs of a cluster's nodes: whether PyTorch can use them, and whether they have bfloat16.

A task on each node, all at once, looks at its GPUs. It reserves none, so that it need not wait for
one, and its process ends with it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.cluster.check import ANSWER_WITHIN_S, REACHABLE, last_line
from search.cluster.resources import Node
from trainable.machine.engine import EngineConfig, gpu_has_bfloat16
from trainable.machine.gpus import why_none, why_unusable

VISIBLE = "CUDA_VISIBLE_DEVICES"
# The first compute capability with bfloat16 in hardware.
BFLOAT16_MAJOR = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGpus:
    """The GPUs of a node.

    Attributes:
        node: The node.
        names: Their names, each once.
        has_bfloat16: Whether all of them have bfloat16 in hardware.
        fault: Why PyTorch cannot use them, else None.
    """

    node: Node
    names: tuple[str, ...] = ()
    has_bfloat16: bool = False
    fault: str | None = None


def look_at_gpus(
    nodes: Sequence[Node], *, answer_within_s: float = ANSWER_WITHIN_S
) -> list[NodeGpus]:
    """Return the GPUs of nodes; one that does not answer has that as its fault.

    Args:
        nodes: Live nodes with GPUs.
        answer_within_s: Seconds that a node has to answer.
    """
    looking = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(inspect_gpus)
    answers = [
        looking.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        ).remote()
        for node in nodes
    ]
    if answers:
        ray.wait(answers, num_returns=len(answers), timeout=answer_within_s)
    return [
        NodeGpus(node=node, **_answered(answer, answer_within_s))
        for node, answer in zip(nodes, answers, strict=True)
    ]


def inspect_gpus() -> dict[str, Any]:
    """Return the fields of `NodeGpus`, without the node, for the machine on which this runs."""
    # Ray may hide all GPUs from a task that reserves none.
    if os.environ.get(VISIBLE) == "":
        del os.environ[VISIBLE]
    if not torch.cuda.is_available():
        return {"fault": why_none()}
    found = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return {
        "names": tuple(sorted({gpu.name for gpu in found})),
        "has_bfloat16": all(gpu.major >= BFLOAT16_MAJOR for gpu in found),
    }


def require_gpu_for(engine: EngineConfig) -> None:
    """Refuse to work on a GPU of a node that joined after the start and does not fit the search.

    Raises:
        RuntimeError: PyTorch cannot use it, or it lacks the search's precision. No error of the
            trial: it can run on another node.
    """
    fault = why_unusable()
    if engine.precision == "bfloat16" and torch.cuda.is_available() and not gpu_has_bfloat16():
        name = torch.cuda.get_device_name()
        fault = f"its {name} has no bfloat16 in hardware, in which this search computes"
    if fault is not None:
        where = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        raise RuntimeError(f"node {where} cannot train for this search: {fault}; stop that node")


def _answered(answer: Any, answer_within_s: float) -> dict[str, Any]:
    ready, _ = ray.wait([answer], timeout=0)
    if not ready:
        ray.cancel(answer, force=True)
        return {"fault": f"it did not answer within {answer_within_s:g} s; {REACHABLE}"}
    try:
        found: dict[str, Any] = ray.get(answer)
    except RayError as error:
        return {"fault": last_line(error)}
    return found
