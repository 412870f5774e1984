"""Every fault with the search that it is injected into; run by the tests and by `make chaos`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.loop.fault_ledger import silent
from tests.chaos.drivers import hit_drivers
from tests.chaos.faults import DriverFault, Outcome, Tell, kill_driver
from tests.chaos.moments import Moment, draw_ending, draw_moments
from tests.chaos.workers import (
    WorkerFault,
    beside_head,
    freeze_worker,
    hit_workers,
    kill_worker,
    node_killer,
)
from tests.chaos.world import chaos_settings
from tests.search.ray_nodes import ray_nodes
from tests.search.real_search import RealSearch

# Trials long enough to be hit in their midst, while others go on.
LONG = {"max_concurrent": 2, "max_epochs": 200, "scheduler": {"kind": "none"}}
EPOCHS_A_HIT = 120  # that two trials about do while a worker that died is replaced
# An epoch takes some 30 ms, on a busy machine ten times that.
HANG_FLOOR_S = 3.0
# An undisturbed search with `chaos_settings` has about so many.
USUAL_EPOCHS = 56


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a scenario plays.

    Attributes:
        world: See `build_world`.
        folder: For run folders, which are kept.
        rng: Draws moments, and who is hit.
        tell: Told of every fault.
    """

    world: Path
    folder: Path
    rng: np.random.Generator
    tell: Tell = silent

    def search(self, name: str, **changes: Any) -> RealSearch:
        """A new search with `chaos_settings`, changed."""
        return RealSearch(self.world, self.folder / name, chaos_settings(self.world, **changes))

    def moments(self, times: int) -> list[Moment]:
        """Moments of a search with `chaos_settings`: half in start-ups, the last at the end."""
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
        """Moments in the training of such a search alone."""
        return draw_moments(
            self.rng, num_startup=0, num_training=times, num_epochs=USUAL_EPOCHS
        )


def one_at_a_time(stage: Stage, name: str, hit: DriverFault, moments: Sequence[Moment]) -> Outcome:
    """Hits the driver of a search with one trial at a time, whose result is determined."""
    return hit_drivers(name, stage.search(_folder(name)), moments, hit, stage.tell)


def two_at_a_time(stage: Stage, name: str, times: int) -> Outcome:
    """Kills drivers that join a cluster, which stays, with two trials at a time."""
    with ray_nodes((2,)) as cluster:
        search = stage.search(_folder(name), max_concurrent=2, address=cluster.address)
        search.environment |= cluster.environment
        return hit_drivers(name, search, stage.moments(times), kill_driver, stage.tell)


def workers_killed(stage: Stage, name: str, times: int) -> Outcome:
    """Kills workers of a search with two trials at a time."""
    return _workers(stage, WorkerFault(name=name, hit=kill_worker, times=times))


def workers_frozen(stage: Stage, name: str, times: int) -> Outcome:
    """Freezes workers of a search with two trials at a time."""
    faults = {"hang_floor_s": HANG_FLOOR_S}
    return _workers(stage, WorkerFault(name=name, hit=freeze_worker, times=times), faults=faults)


def node_killed(stage: Stage, name: str, number: int = 0) -> Outcome:
    """Kills one of three nodes that has one of two trials; `number` tells its searches apart."""
    with ray_nodes((1, 1, 1)) as cluster:
        changes = LONG | {"num_trials": 3, "address": cluster.address}
        search = stage.search(_folder(f"{name} {number}"), **changes)
        search.environment |= cluster.environment
        fault = WorkerFault(name=name, hit=node_killer(cluster), may_hit=beside_head(cluster))
        return hit_workers(fault, search, stage.rng, stage.tell)


def _workers(stage: Stage, fault: WorkerFault, **changes: Any) -> Outcome:
    num_trials = 2 + fault.times * EPOCHS_A_HIT // LONG["max_epochs"]
    search = stage.search(_folder(fault.name), **LONG, num_trials=num_trials, **changes)
    return hit_workers(fault, search, stage.rng, stage.tell)


def _folder(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
