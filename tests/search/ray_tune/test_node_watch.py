"""A search takes up nodes that join, and moves trials off nodes that will leave."""

from types import SimpleNamespace
from typing import Any

import pytest

from search.loop.trial_course import Fault
from search.ray_tune.node_watch import NodeWatch


class Watched:
    """A watch of two trials, on the nodes a and b."""

    def __init__(self) -> None:
        self.nodes = SimpleNamespace(leaving={}, num_slots=2, refresh=lambda: self.has_changed)
        self.has_changed = False
        self.sizes: list[int] = []
        self.killed: dict[str, Fault] = {}
        self.ended: list[str] = []
        self.courses = [SimpleNamespace(state=None), SimpleNamespace(state=None)]
        self.search = SimpleNamespace(trials=self.courses, halted=None)
        slots: Any = SimpleNamespace(resize=self.sizes.append)
        self.watch = NodeWatch(
            self.nodes, slots, self.search, self.killed,  # type: ignore[arg-type]
            find_node=lambda actor: str(actor), kill=self.ended.append,
        )  # fmt: skip

    def result(self, number: int, actor: str | None) -> None:
        state = SimpleNamespace(ray_actor=actor)
        trial: Any = SimpleNamespace(
            trial_id=f"t{number}", config={"trial": number}, temporary_state=state
        )
        self.watch.on_trial_result(0, [], trial, {})


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_slots_follow_the_cluster(watched: Watched) -> None:
    watched.watch.on_step_end(0, [])
    assert watched.sizes == []
    watched.has_changed, watched.nodes.num_slots = True, 5
    watched.watch.on_step_end(0, [])
    assert watched.sizes == [5]


def test_a_trial_moves_off_a_node_that_will_leave_after_its_epoch(watched: Watched) -> None:
    watched.result(0, "a")
    watched.nodes.leaving = {"a": "10.0.0.1"}
    watched.result(1, "b")
    assert watched.ended == []
    watched.result(0, "a")
    assert watched.ended == ["a"]
    (fault,) = watched.killed.values()
    assert fault.kind == "node_lost"
    assert "node 10.0.0.1 will leave the cluster" in fault.message


def test_a_trial_that_has_ended_moves_nowhere(watched: Watched) -> None:
    watched.nodes.leaving = {"a": "10.0.0.1"}
    watched.courses[0].state = "complete"
    watched.result(0, "a")
    watched.result(1, None)
    watched.search.halted = "interrupted"
    watched.result(1, "a")
    assert watched.ended == []
