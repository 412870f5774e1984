"""Why a Ray actor died, as a `Fault` of a kind with a one-line message; and how to kill one.

Ray 2.60's `RayActorManager` accepts two classes of errors, `RayActorError` and `RayTaskError`. At
any other class Tune itself ends with a RuntimeError. The memory monitor raises such a class,
`ray.exceptions.OutOfMemoryError`.
"""

import os
import signal
from contextlib import suppress
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
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.loop.trial_course import Fault
from spaces.files.errors import DeviceError
from trainable.machine.device_errors import MAX_MESSAGE_CHARS, one_line_message
from trainable.machine.memory_share import OUT_OF_MEMORY

NODE_ERRORS = (NodeDiedError, LocalRayletDiedError, ActorUnavailableError)
# Texts of Ray's global control store (GCS) for an actor that was lost with its node. Ray raises
# `ActorDiedError` for these too, so only the text tells them from a dead worker.
NODE_TEXTS = ("its node has died", "its node was")
DEATH_PREFIX = "The actor is dead because "
# Ray's general advice follows the cause. It would fill the table cell of a reason.
ADVICE_PREFIX = " Some common causes include"


class LostActorError(RayActorError):
    """The death of an actor by an error class that Tune does not accept, with Ray's message.

    Args:
        text: Ray's message.
        is_memory: Whether Ray's memory monitor killed the actor.
        is_node: Whether its node was lost.
    """

    def __init__(self, text: str, is_memory: bool = False, is_node: bool = False) -> None:
        super().__init__(error_msg=text)
        self.is_memory = is_memory
        self.is_node = is_node

    # Tune writes the error to a file and reads it back. By default an exception is rebuilt from
    # `args`, which lack the two flags.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.error_msg, self.is_memory, self.is_node)


class ActorManager(RayActorManager):
    """Ray's actor manager, for which every death of an actor is one failed trial."""

    def _actor_start_failed(self, tracked_actor: Any, exception: Exception) -> None:
        super()._actor_start_failed(tracked_actor, as_tune_error(exception))

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        super()._actor_task_failed(tracked_actor_task, as_tune_error(exception))


def as_tune_error(error: Exception) -> Exception:
    """Return the error as one of the two classes that Tune accepts."""
    if isinstance(error, RayActorError | RayTaskError):
        return error
    return LostActorError(
        str(error),
        is_memory=isinstance(error, OutOfMemoryError),
        is_node=isinstance(error, NODE_ERRORS),
    )


def fault_from_error(error: Exception) -> Fault:
    """Return the kind and the message of an error that ended a trial in Ray."""
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
        return Fault(kind="node_lost", message=_cause_of_death(text))
    # An actor whose constructor raised did not die by itself: that is an error of the code.
    if isinstance(error, RayActorError) and not error.actor_init_failed:
        return Fault(kind="worker_lost", message=_cause_of_death(text))
    return Fault(kind="error", message=_last_line(text))


def _cause_of_death(text: str) -> str:
    """Return the cause from Ray's message about a dead actor, in one line, without the advice."""
    cause = text.rpartition(DEATH_PREFIX)[2].partition(ADVICE_PREFIX)[0]
    return " ".join(cause.split())[:MAX_MESSAGE_CHARS]


def _first_line(text: str) -> str:
    return " ".join(text.strip().partition("\n")[0].split())[:MAX_MESSAGE_CHARS]


def _last_line(text: str) -> str:
    return " ".join(text.strip().rpartition("\n")[2].split())[:MAX_MESSAGE_CHARS]


def kill_actor(actor: ActorHandle[Any]) -> None:
    """Kill an actor's process, even if it does not respond.

    `ray.kill` by itself leaves a stopped process (SIGSTOP) alive, with all its memory.
    """
    info = state.actors(actor._actor_id.hex())
    pid, node = info.get("Pid"), info.get("Address", {}).get("NodeID")
    # Both are missing while the actor is still being placed: it has no process yet.
    if pid and node:
        if node == ray.get_runtime_context().get_node_id():
            _kill(pid)
        else:
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            # Without CPUs, so that it starts also where trials take all of them.
            task = ray.remote(num_cpus=0, max_retries=0)(_kill)
            task.options(scheduling_strategy=there).remote(pid)
    ray.kill(actor)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
