"""Every fault with the search that it is injected into; used by the tests and by `make chaos`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.loop.fault_ledger import silent
from tests.chaos.drivers import hit_drivers
from tests.chaos.faults import DriverFault, Outcome, PrintLine, kill_driver
from tests.chaos.moments import Moment, draw_ending, draw_moments
from tests.chaos.workers import (
    WorkerFault,
    beside_head,
    freeze_worker,
    hit_workers,
    kill_worker,
    node_killer,
    num_at_work,
)
from tests.search.ray_nodes import ray_nodes
from tests.search.real_search import RealSearch
from tests.worlds.chaos_world import SLOW_SPACE, chaos_settings

# Trials that are long enough to be hit in mid-training while others continue.
LONG = {"max_concurrent": 2, "max_epochs": 200, "scheduler": {"kind": "none"}}
SLOW_EPOCHS = 120  # of a student that takes its time
EPOCHS_A_HIT = 120  # about what two trials train while a dead worker is replaced
# An epoch takes some 30 ms, on a busy machine ten times that.
HANG_FLOOR_S = 5.0
# About the number of epochs of an undisturbed search with `chaos_settings`.
USUAL_EPOCHS = 56


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The inputs of a scenario.

    Attributes:
        world: The folder that `build_world` made.
        folder: The folder for run folders, which are kept.
        rng: Source of random moments and workers.
        print_line: Prints a line about every fault.
    """

    world: Path
    folder: Path
    rng: np.random.Generator
    print_line: PrintLine = silent

    def search(self, name: str, **changes: Any) -> RealSearch:
        """Return a new search with `chaos_settings`, changed."""
        return RealSearch(self.world, self.folder / name, chaos_settings(self.world, **changes))

    def moments(self, times: int) -> list[Moment]:
        """Return moments of such a search: half in start-ups, the last at the end."""
        num_startup = times // 2
        num_trials = chaos_settings(self.world)["num_trials"]
        drawn = draw_moments(
            self.rng,
            num_startup=num_startup,
            num_training=times - num_startup - 1,
            num_epochs=USUAL_EPOCHS,
        )
        return [*drawn, draw_ending(self.rng, num_trials)]

    def in_training(self, times: int) -> list[Moment]:
        """Return moments in the training of such a search only."""
        return draw_moments(
            self.rng, num_startup=0, num_training=times, num_epochs=USUAL_EPOCHS
        )


def one_at_a_time(stage: Stage, name: str, hit: DriverFault, moments: Sequence[Moment]) -> Outcome:
    """Hit the driver of a search with one trial at a time, which has one possible result."""
    return hit_drivers(name, stage.search(_folder(name)), moments, hit, stage.print_line)


def two_at_a_time(stage: Stage, name: str, times: int) -> Outcome:
    """Kill drivers that join a cluster, which stays, with two trials at a time."""
    with ray_nodes((2,)) as cluster:
        search = stage.search(_folder(name), max_concurrent=2, address=cluster.address)
        search.environment |= cluster.environment
        return hit_drivers(name, search, stage.moments(times), kill_driver, stage.print_line)


def workers_killed(stage: Stage, name: str, times: int) -> Outcome:
    """Kill workers of a search with two trials at a time."""
    return _workers(stage, WorkerFault(name=name, hit=kill_worker, times=times))


def workers_frozen(stage: Stage, name: str, times: int) -> Outcome:
    """Freeze workers of a search with two trials at a time."""
    faults = {"hang_floor_s": HANG_FLOOR_S}
    return _workers(stage, WorkerFault(name=name, hit=freeze_worker, times=times), faults=faults)


def node_killed(stage: Stage, name: str, number: int = 0) -> Outcome:
    """Kill one of three nodes that has one of two trials; `number` makes the folder unique."""
    with ray_nodes((1, 1, 1)) as cluster:
        changes = LONG | {"num_trials": 3, "address": cluster.address}
        search = stage.search(_folder(f"{name} {number}"), **changes)
        search.environment |= cluster.environment
        fault = WorkerFault(name=name, hit=node_killer(cluster), may_hit=beside_head(cluster))
        return hit_workers(fault, search, stage.rng, stage.print_line)


def cluster_hit(stage: Stage, name: str) -> Outcome:
    """Kill a worker, freeze one and kill a node, in a search on three nodes, two trials at once.

    What is hit is never on the head node, and both trials are at work then.
    """
    with ray_nodes((1, 1, 1)) as cluster:
        faults = {"hang_floor_s": HANG_FLOOR_S}
        changes = LONG | {"num_trials": 5, "address": cluster.address, "faults": faults}
        # What is not hit trains on until the search has recovered.
        changes |= {"space": str(stage.world / SLOW_SPACE), "max_epochs": SLOW_EPOCHS}
        search = stage.search(_folder(name), **changes)
        search.environment |= cluster.environment
        hits = iter((kill_worker, freeze_worker, node_killer(cluster)))
        is_beside_head = beside_head(cluster)
        fault = WorkerFault(
            name=name,
            hit=lambda pid: next(hits)(pid),
            may_hit=lambda pid: num_at_work(search.run) == 2 and is_beside_head(pid),
            times=3,
        )
        return hit_workers(fault, search, stage.rng, stage.print_line, "--allow-code")


def _workers(stage: Stage, fault: WorkerFault, **changes: Any) -> Outcome:
    num_trials = 2 + fault.times * EPOCHS_A_HIT // LONG["max_epochs"]
    search = stage.search(_folder(fault.name), **LONG, num_trials=num_trials, **changes)
    return hit_workers(fault, search, stage.rng, stage.print_line)


def _folder(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
