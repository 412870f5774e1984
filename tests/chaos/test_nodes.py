"""A search on three nodes, one of which is killed, while one joins and one leaves with notice."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray._raylet import GcsClient  # type: ignore[attr-defined]

from results.journal.history import trial_histories
from results.journal.journal import read_journal
from results.records.trial_records import EpochEnded, InfrastructureFault, TrialPlaced
from search.cluster.nodes import command_line
from search.cluster.staying import PREEMPTION, RAYLET_ID
from search.cluster.tokens import ray_environment
from tests.chaos.accounting import losses, snapshot
from tests.chaos.workers import at_work, num_at_work
from tests.search.ray_nodes import RayNode, RayNodes, ray_nodes
from tests.search.real_search import RealSearch, wait_for
from tests.worlds.chaos_world import SLOW_SPACE, chaos_settings

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.ray_apart]

NUM_TRIALS, NUM_EPOCHS = 6, 250
NOTICE_S = 120.0


def raylets_of(node: RayNode) -> list[str]:
    """The ids of the raylets among a node's processes: one, or none once the node has ended."""
    lines = [command_line(pid) for pid in node.pids()]
    return [found.group(1).decode() for line in lines if (found := RAYLET_ID.search(line))]


def give_notice(cluster: RayNodes, node: RayNode, within_s: float) -> None:
    """Tell the cluster that a node will leave, as `veer cluster join --block` does at SIGTERM."""
    [node_id] = raylets_of(node)
    with ray_environment(cluster.environment):
        deadline_ms = round(1000 * (time.time() + within_s))
        client = GcsClient(address=cluster.address)
        assert client.drain_node(node_id, PREEMPTION, "spot", deadline_ms)[0]


class Moved:
    """What became of a search, and when its nodes changed."""

    def __init__(self, search: RealSearch, cluster: RayNodes) -> None:
        self.run = search.run
        _, second, third = cluster.nodes
        with search.start("--allow-code") as driver:
            wait_for((self.run / "journal.jsonl").exists, "a journal")
            wait_for(lambda: num_at_work(self.run) == 3, "three trials at work")
            third.kill()
            self.found = [snapshot(self.run)]
            wait_for(lambda: len(self.faults()) == 1, "the lost node to be noticed")
            self.new = cluster.add(1)
            wait_for(lambda: self.placed_on(self.new), "the new node to be used")
            wait_for(lambda: num_at_work(self.run) == 3, "three trials at work again", 90)
            # One that will be in mid-training for some time.
            self.noticed_s = time.time()
            give_notice(cluster, second, NOTICE_S)
            wait_for(lambda: not raylets_of(second), "the idle node to end", 150)
            self.gone_s = time.time()
            self.found.append(snapshot(self.run))
            assert driver.wait() == 0, driver.output
            self.output = self.run.with_suffix(".out").read_text()

    def faults(self) -> list[InfrastructureFault]:
        records = read_journal(self.run / "journal.jsonl")
        return [each for each in records if isinstance(each, InfrastructureFault)]

    def placed_on(self, node: RayNode) -> bool:
        pids = set(node.pids())
        running = at_work(read_journal(self.run / "journal.jsonl"))
        return any(each.pid in pids for each in running.values())


@pytest.fixture(scope="module")
def moved(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    with ray_nodes((1, 1, 1)) as cluster:
        settings = chaos_settings(
            world, num_trials=NUM_TRIALS, max_epochs=NUM_EPOCHS, scheduler={"kind": "none"},
            space=str(world / SLOW_SPACE), address=cluster.address, max_concurrent=None,
        )  # fmt: skip
        search = RealSearch(world, tmp_path_factory.mktemp("nodes") / "run", settings)
        search.environment |= cluster.environment
        yield Moved(search, cluster)


def test_nothing_is_lost(moved: Moved) -> None:
    records = read_journal(moved.run / "journal.jsonl")
    found = losses(moved.found, records, num_trials=NUM_TRIALS)
    assert found.is_harmless, found
    for trial in trial_histories(records):
        assert (trial.state, list(trial.epochs)) == ("complete", list(range(1, NUM_EPOCHS + 1)))


def test_a_node_that_joins_is_used(moved: Moved) -> None:
    # Ray may find only then that the killed one is dead.
    assert re.search(r"node \S+ has joined;.* the cluster fits [34] trials", moved.output)


def test_a_trial_moves_off_a_node_with_notice_and_repeats_nothing(moved: Moved) -> None:
    assert moved.gone_s - moved.noticed_s < NOTICE_S
    records = read_journal(moved.run / "journal.jsonl")
    [fault] = [each for each in moved.faults() if "will leave the cluster" in each.message]
    assert fault.kind == "node_lost"
    of_trial = [each for each in records if getattr(each, "trial", None) == fault.trial]
    before = of_trial[: of_trial.index(fault)]
    last = max(each.epoch for each in before if isinstance(each, EpochEnded))
    again = next(each for each in of_trial[len(before) :] if isinstance(each, TrialPlaced))
    assert again.epoch == last
    reported = [each.epoch for each in of_trial if isinstance(each, EpochEnded)]
    assert reported == list(range(1, NUM_EPOCHS + 1))
