"""The deaths of Ray's actors, told apart and in a line each.

Ray 2.60's `RayActorManager` knows two kinds of errors and ends Tune with a RuntimeError at any
other. Its memory monitor's is such a one, `ray.exceptions.OutOfMemoryError`.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray._private import state
from ray.actor import ActorHandle
from ray.air.execution._internal import RayActorManager
from ray.exceptions import (
    ActorUnavailableError,
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
)
from ray.tune.execution import tune_controller
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.loop.trial_course import Fault
from spaces.files.errors import DeviceError
from trainable.machine.device_errors import MAX_MESSAGE_CHARS, one_line_message
from trainable.machine.memory_share import OUT_OF_MEMORY

NODE_ERRORS = (NodeDiedError, LocalRayletDiedError, ActorUnavailableError)
# What GCS writes where a node's death took the actor along.
NODE_TEXTS = ("its node has died", "its node was")
WHY_DEAD = "The actor is dead because "
# What Ray adds to it helps nobody here.
ADVICE = " Some common causes include"


class LostActorError(RayActorError):
    """An actor that died of what Tune does not know; the message is Ray's.

    Args:
        text: Ray's message.
        is_memory: Whether Ray's memory monitor killed it.
        is_node: Whether its node was lost.
    """

    def __init__(self, text: str, is_memory: bool = False, is_node: bool = False) -> None:
        super().__init__(error_msg=text)
        self.is_memory = is_memory
        self.is_node = is_node

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.error_msg, self.is_memory, self.is_node)


class ActorManager(RayActorManager):
    """Ray's, but every death of an actor is one that Tune takes as a failed trial."""

    def _actor_start_failed(self, tracked_actor: Any, exception: Exception) -> None:
        super()._actor_start_failed(tracked_actor, as_known(exception))

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        super()._actor_task_failed(tracked_actor_task, as_known(exception))


@contextmanager
def own_actor_manager() -> Iterator[None]:
    """Lets Tune's controllers that are made meanwhile have `ActorManager`."""
    before = tune_controller.RayActorManager  # type: ignore[attr-defined]
    tune_controller.RayActorManager = ActorManager  # type: ignore[attr-defined]
    try:
        yield
    finally:
        tune_controller.RayActorManager = before  # type: ignore[attr-defined]


def as_known(error: Exception) -> Exception:
    """The error as one of the two kinds that Tune knows."""
    if isinstance(error, RayActorError | RayTaskError):
        return error
    return LostActorError(
        str(error),
        is_memory=isinstance(error, OutOfMemoryError),
        is_node=isinstance(error, NODE_ERRORS),
    )


def fault_of(error: Exception) -> Fault:
    """What an error that ended a trial in Ray says."""
    if isinstance(error, RayTaskError):
        cause = error.cause
        if isinstance(cause, DeviceError):
            return Fault(kind="device_error", message=one_line_message(cause))
        return Fault(kind="error", message=f"{type(cause).__name__}: {one_line_message(cause)}")
    text = str(error)
    if getattr(error, "is_memory", False):
        return Fault(kind=OUT_OF_MEMORY, message=_first_line(text))
    is_node = getattr(error, "is_node", False) or isinstance(error, NODE_ERRORS)
    if is_node or getattr(error, "preempted", False) or any(each in text for each in NODE_TEXTS):
        return Fault(kind="node_lost", message=_why_dead(text))
    if isinstance(error, RayActorError) and not error.actor_init_failed:
        return Fault(kind="worker_lost", message=_why_dead(text))
    return Fault(kind="error", message=_last_line(text))


def _why_dead(text: str) -> str:
    """Of Ray's account of a death the line that says why, without its advice."""
    why = text.rpartition(WHY_DEAD)[2].partition(ADVICE)[0]
    return " ".join(why.split())[:MAX_MESSAGE_CHARS]


def _first_line(text: str) -> str:
    return " ".join(text.strip().partition("\n")[0].split())[:MAX_MESSAGE_CHARS]


def _last_line(text: str) -> str:
    return " ".join(text.strip().rpartition("\n")[2].split())[:MAX_MESSAGE_CHARS]


def kill_actor(actor: ActorHandle[Any]) -> None:
    """Kills an actor's process, also one that does not answer.

    `ray.kill` alone leaves a stopped process where it is, with all its memory.
    """
    info = state.actors(actor._actor_id.hex())
    pid, node = info.get("Pid"), info.get("Address", {}).get("NodeID")
    if pid and node:
        if node == ray.get_runtime_context().get_node_id():
            _kill(pid)
        else:
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            task = ray.remote(num_cpus=0, max_retries=0)(_kill)
            task.options(scheduling_strategy=there).remote(pid)
    ray.kill(actor)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
