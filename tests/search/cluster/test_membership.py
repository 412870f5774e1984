"""A search sees nodes that join, that are lost, and that will leave."""

import pytest

from search.cluster.membership import LOOK_EVERY_S, Membership
from search.cluster.resources import Node
from search.loop.shares import ResourceShare


def node(name: str, num_cpus: float = 2, num_gpus: float = 0) -> Node:
    return Node(address=f"10.0.0.{name}", num_cpus=num_cpus, num_gpus=num_gpus, node_id=name)


class MadeUpCluster:
    def __init__(self, *nodes: Node) -> None:
        self.nodes, self.draining = list(nodes), dict[str, int]()
        self.now_s, self.num_looks, self.lines = 0.0, 0, list[str]()

    def live(self) -> list[Node]:
        self.num_looks += 1
        return list(self.nodes)

    def watched(self, share: ResourceShare) -> Membership:
        return Membership(
            share, self.lines.append, live_nodes=self.live, draining=lambda: self.draining,
            clock=lambda: self.now_s,
        )  # fmt: skip


ONE_CPU = ResourceShare(num_cpus=1, num_gpus=0)
QUARTER_GPU = ResourceShare(num_cpus=1, num_gpus=0.25)


def test_nodes_that_join_are_counted_and_those_that_leave_are_not() -> None:
    cluster = MadeUpCluster(node("1"), node("2"))
    seen = cluster.watched(ONE_CPU)
    assert seen.num_slots == 4
    cluster.nodes.append(node("3", num_cpus=3))
    cluster.now_s += LOOK_EVERY_S
    assert seen.refresh()
    assert seen.num_slots == 7
    cluster.draining["2"] = 99
    cluster.now_s += LOOK_EVERY_S
    assert seen.refresh()
    assert (seen.num_slots, dict(seen.leaving)) == (5, {"2": "10.0.0.2"})
    del cluster.nodes[1]
    cluster.now_s += LOOK_EVERY_S
    assert not seen.refresh()
    assert (seen.num_slots, dict(seen.leaving)) == (5, {})
    assert cluster.lines == [
        "node 10.0.0.3 has joined; the cluster fits 7 trials",
        "node 10.0.0.2 will leave: its trials move after their epochs; the cluster fits 5 trials",
        "node 10.0.0.2 is gone; the cluster fits 5 trials",
    ]


def test_the_cluster_is_not_asked_at_every_step() -> None:
    cluster = MadeUpCluster(node("1"))
    seen = cluster.watched(ONE_CPU)
    for _ in range(100):
        cluster.now_s += LOOK_EVERY_S / 50
        seen.refresh()
    assert cluster.num_looks == 3
    assert cluster.lines == []


@pytest.mark.parametrize(
    ("share", "num_slots"),
    [(ONE_CPU, 3), (QUARTER_GPU, 2), (ResourceShare(num_cpus=4, num_gpus=0), 0)],
)
def test_mixed_nodes_carry_what_fits_the_share_of_a_trial(
    share: ResourceShare, num_slots: int
) -> None:
    cluster = MadeUpCluster(node("1", num_cpus=1), node("2", num_cpus=2, num_gpus=1))
    assert cluster.watched(share).num_slots == num_slots
