"""The nodes of a cluster during a search: nodes that join, that leave, and that will leave.

A node leaves after a notice (a drain, as `veer cluster join --block` asks for at SIGTERM, or an
autoscaler before it takes a machine away), or without one.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from ray._private import state

from search.cluster.resources import Node, cluster_nodes, num_on
from search.loop.shares import ResourceShare

LOOK_EVERY_S = 2.0


class Membership:
    """The nodes of a cluster, looked at every `LOOK_EVERY_S` seconds.

    Args:
        share: The share of a trial.
        print_line: Prints a line about each change.
        live_nodes: Returns the live nodes.
        draining: Returns the ids of the nodes that will leave.
        clock: Returns seconds; only differences count.

    Attributes:
        num_slots: Trials that fit the nodes which stay.
        leaving: Addresses of the nodes that will leave, by id.
    """

    def __init__(
        self,
        share: ResourceShare,
        print_line: Callable[[str], None],
        *,
        live_nodes: Callable[[], Sequence[Node]] = cluster_nodes,
        draining: Callable[[], Mapping[str, int]] = lambda: state.state.get_draining_nodes(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._share, self._print_line = share, print_line
        self._live_nodes, self._draining, self._clock = live_nodes, draining, clock
        self.leaving: Mapping[str, str] = MappingProxyType({})
        self._nodes: dict[str, Node] = {}
        self.num_slots = 0
        self._look()

    def refresh(self) -> bool:
        """Look at the cluster again, if it is time; return whether `num_slots` has changed."""
        if self._clock() - self._looked_s < LOOK_EVERY_S:
            return False
        before, known, leaving = self.num_slots, self._nodes, self.leaving
        self._look()
        changes = [
            *(f"node {node.address} has joined" for key, node in self._nodes.items()
              if key not in known),
            *(f"node {node.address} is gone" for key, node in known.items()
              if key not in self._nodes),
            *(f"node {address} will leave: its trials move after their epochs"
              for key, address in self.leaving.items() if key not in leaving),
        ]  # fmt: skip
        if changes:
            self._print_line(f"{'; '.join(changes)}; the cluster fits {self.num_slots} trials")
        return self.num_slots != before

    def _look(self) -> None:
        nodes, draining = self._live_nodes(), self._draining()
        self._nodes = {node.node_id: node for node in nodes}
        self.leaving = {node.node_id: node.address for node in nodes if node.node_id in draining}
        staying = [node for node in nodes if node.node_id not in draining]
        self.num_slots = sum(num_on(self._share, node) for node in staying)
        self._looked_s = self._clock()
