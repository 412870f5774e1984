"""A running search follows its cluster: it uses nodes that join, and moves trials off others."""

from collections.abc import Callable, MutableMapping
from typing import Any

import ray
from ray._private import state
from ray.actor import ActorHandle
from ray.tune import Callback
from ray.tune.experiment import Trial

from search.cluster.membership import Membership
from search.loop.coordinator import Coordinator
from search.loop.trial_course import Fault
from search.ray_tune.searcher import TrialSlots


def node_of(actor: ActorHandle[Any]) -> str | None:
    """Return the id of the node that an actor runs on; None while it is being placed."""
    node: str | None = state.actors(actor._actor_id.hex()).get("Address", {}).get("NodeID")
    return node


class NodeWatch(Callback):
    """Resizes the slots with the cluster, and ends the workers on nodes that will leave.

    A worker is ended after its trial has reported an epoch, whose checkpoint is on disk by then:
    the trial goes on elsewhere and repeats nothing.

    Args:
        nodes: The cluster.
        slots: The slots of the search.
        coordinator: The search.
        killed: Gets the fault to record of each trial whose worker is ended here.
        find_node: Returns the id of an actor's node.
        kill: Ends an actor.
    """

    def __init__(
        self,
        nodes: Membership,
        slots: TrialSlots,
        coordinator: Coordinator,
        killed: MutableMapping[str, Fault],
        *,
        find_node: Callable[[Any], str | None] = node_of,
        kill: Callable[[Any], None] = ray.kill,
    ) -> None:
        self._nodes, self._slots, self._coordinator = nodes, slots, coordinator
        self._killed, self._find_node, self._kill = killed, find_node, kill

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look at the cluster, at times."""
        del iteration, trials, info
        if self._nodes.refresh():
            self._slots.resize(self._nodes.num_slots)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """End the worker of a trial on a node that will leave."""
        del iteration, trials, result, info
        actor = trial.temporary_state.ray_actor
        if not self._nodes.leaving or actor is None:
            return
        address = self._nodes.leaving.get(self._find_node(actor) or "")
        course = self._coordinator.trials[int(trial.config["trial"])]
        # A trial that has just ended moves nowhere.
        if address is None or course.state is not None or self._coordinator.halted is not None:
            return
        # The epoch is on disk: the worker saves it before it reports it.
        message = f"node {address} will leave the cluster; the trial moves on after its epoch"
        self._killed[trial.trial_id] = Fault(kind="node_lost", message=message)
        self._kill(actor)
