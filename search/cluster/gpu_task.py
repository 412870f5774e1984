"""A function run on a GPU that Ray reserves for it, in a process that ends afterwards.

The process that leads a search never uses CUDA itself: its context would stay on the first GPU,
unreserved, beside the trials.
"""

from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.cluster.check import last_line
from search.cluster.resources import Node
from spaces.files.errors import ConfigError, VeerError

# Until a whole GPU is free and a process has started there: other searches may have all of them.
GPU_WITHIN_S = 900.0


class NoGpuError(ConfigError):
    """No GPU became free in time."""


class _Holder:
    """The process that holds the GPU."""

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Call the function."""
        return function(*arguments)


def run_on_gpu(
    function: Callable[..., Any],
    *arguments: Any,
    what: str,
    node: Node | None = None,
    within_s: float | None = None,
) -> Any:
    """Return what a function returns that has a whole GPU to itself; Ray must be connected.

    Args:
        function: The function, of a module that every node has.
        arguments: Its arguments.
        what: What it does, for messages: `the probe`.
        node: The node to run on; None for any with a GPU.
        within_s: Seconds to wait for the GPU; None for `GPU_WITHIN_S`. The call itself may take
            any time.

    Raises:
        NoGpuError: No GPU became free in time.
        ConfigError: The process died, or the function failed otherwise.
        VeerError: As the function raised it.
    """
    within_s = GPU_WITHIN_S if within_s is None else within_s
    where = "any node" if node is None else f"node {node.address}"
    options: dict[str, Any] = (
        {}
        if node is None
        else {"scheduling_strategy": NodeAffinitySchedulingStrategy(node.node_id, soft=False)}
    )
    # An actor and no task: only of an actor is it known when it has its GPU.
    actor: Any = ray.remote(num_cpus=0, num_gpus=1, max_restarts=0)(_Holder)
    holder = actor.options(**options).remote()
    try:
        if not ray.wait([holder.__ray_ready__.remote()], timeout=within_s)[0]:
            raise NoGpuError(
                f"{what} got no whole GPU on {where} within {within_s:g} s: other programs have "
                "them; wait for these, or end them"
            )
        return ray.get(holder.run.remote(function, arguments))
    except RayTaskError as error:
        if isinstance(error.cause, VeerError):
            raise error.cause from None
        raise ConfigError(f"{what} on {where} failed: {last_line(error.cause)}") from error
    except RayError as error:
        raise ConfigError(f"{what} on {where} failed: {last_line(error)}") from error
    finally:
        # Also ends the process, and with it the memory that it has on the GPU.
        ray.kill(holder)
