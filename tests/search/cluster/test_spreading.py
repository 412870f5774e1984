"""Trials use all GPUs, under Ray's rule that a part of a GPU goes where the least is left over."""

import random
from types import SimpleNamespace

import pytest

from search.cluster.resources import Node, num_trials_at_once
from search.cluster.spreading import num_spreading_gpus, spread
from search.loop.shares import UNITS_PER_WHOLE, ResourceShare, ShareAllocator, part_of_gpu
from search.ray_tune.searcher import TrialSlots

TWO_T4 = Node(address="a", num_cpus=16, num_gpus=2)


class BestFit:
    """The GPUs of one node, and where Ray puts shares of them; one that fits nowhere waits."""

    def __init__(self, num_gpus: int) -> None:
        self.free = [UNITS_PER_WHOLE] * num_gpus
        self.running: dict[str, tuple[int, int]] = {}
        self.waiting: dict[str, int] = {}

    def start(self, name: str, share: float) -> None:
        units = round(share * UNITS_PER_WHOLE)
        fitting = [(free - units, gpu) for gpu, free in enumerate(self.free) if free >= units]
        if not fitting:
            self.waiting[name] = units
            return
        _, gpu = min(fitting)
        self.free[gpu] -= units
        self.running[name] = gpu, units

    def end(self, name: str) -> None:
        gpu, units = self.running.pop(name)
        self.free[gpu] += units

    @property
    def loads(self) -> list[int]:
        return [sum(at == gpu for at, _ in self.running.values()) for gpu in range(len(self.free))]


class Played:
    """A search of `num_trials` on one node, whose trials end in a random order."""

    def __init__(self, node: Node, share: ResourceShare, num_trials: int, most: int) -> None:
        base = spread(share, [node], min(most, num_trials))
        num_gpus = num_spreading_gpus(base, [node])
        allocator = ShareAllocator(base=base, max_cpus=node.num_cpus, num_gpus=num_gpus)
        self.slots = TrialSlots(allocator, num_trials_at_once(base, [node]), most)
        self.ray = BestFit(int(node.num_gpus))
        self.num_left = num_trials

    def fill(self) -> None:
        while self.num_left and not self.slots.are_full():
            self.num_left -= 1
            name = str(self.num_left)
            share = self.slots.take(name, SimpleNamespace(raised=None), self.num_left)
            self.ray.start(name, share.num_gpus)

    def end(self, name: str) -> None:
        self.ray.end(name)
        self.slots.free(name)


@pytest.mark.parametrize(
    ("cpu", "gpu", "at_once", "share"),
    [
        (4, 0.25, 99, 0.5),  # 16 CPUs carry four: two on each
        (1, 0.25, 99, 0.25),  # eight fit, and eight run
        (1, 0.125, 4, 0.5),  # max_concurrent
        (1, 0.0125, 2, 1.0),
        (1, 0.25, 3, 0.5),
        (1, 0.25, 5, 0.3333),
        (8, 0.5, 99, 1.0),
        (1, 1, 99, 1),
        (1, 2, 99, 2),
        (1, 0, 99, 0),
    ],
)
def test_share_is_the_largest_with_which_as_many_run(cpu, gpu, at_once, share):
    found = spread(ResourceShare(num_cpus=cpu, num_gpus=gpu), [TWO_T4], at_once)
    assert found == ResourceShare(num_cpus=cpu, num_gpus=share)


def test_share_spreads_over_the_gpus_of_all_nodes():
    nodes = [
        TWO_T4,
        Node(address="b", num_cpus=2, num_gpus=2),
        Node(address="c", num_cpus=99, num_gpus=0),
    ]
    share = ResourceShare(num_cpus=1, num_gpus=0.125)
    # 16 fit the GPUs of a, 2 the CPUs of b: none fewer may run.
    assert spread(share, nodes, 99) == share
    assert spread(share, nodes, 6).num_gpus == 0.5  # 4 and 2
    assert spread(share, nodes, 4).num_gpus == 1
    # A larger share might wait for a GPU of b, whose CPUs are taken.
    assert num_spreading_gpus(share, nodes) == 0
    assert num_spreading_gpus(share, [nodes[0], nodes[2]]) == 2
    assert num_spreading_gpus(ResourceShare(num_cpus=1, num_gpus=0.5), [TWO_T4, TWO_T4]) == 4
    assert num_spreading_gpus(ResourceShare(num_cpus=1, num_gpus=0), nodes) == 0


def test_four_trials_on_two_gpus_are_two_on_each():
    played = Played(TWO_T4, ResourceShare(num_cpus=4, num_gpus=0.25), num_trials=40, most=99)
    played.fill()
    assert played.ray.loads == [2, 2]


@pytest.mark.parametrize("num_gpus", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("per_gpu", [2, 3, 4, 7])
def test_no_gpu_idles_and_no_trial_waits_from_the_first_to_the_last(num_gpus, per_gpu):
    """For every number at once, through the steady state and the tail."""
    for at_once in range(1, num_gpus * per_gpu + 1):
        order = random.Random(at_once)
        node = Node(address="a", num_cpus=64, num_gpus=num_gpus)
        share = ResourceShare(num_cpus=1, num_gpus=part_of_gpu(per_gpu))
        played = Played(node, share, num_trials=3 * at_once + 5, most=at_once)
        first = True
        while played.num_left or played.ray.running:
            played.fill()
            loads, num = played.ray.loads, len(played.ray.running)
            assert not played.ray.waiting
            assert num == min(at_once, num + played.num_left)
            if first:
                assert max(loads) <= -(-num // num_gpus)
                assert min(loads) >= min(1, num // num_gpus)
            first = False
            running = list(played.ray.running)
            for name in order.sample(running, order.randint(1, min(2, num))):
                played.end(name)


def test_last_trial_runs_on_the_gpu_that_is_not_used():
    played = Played(TWO_T4, ResourceShare(num_cpus=1, num_gpus=0.25), num_trials=9, most=8)
    played.fill()
    assert played.ray.loads == [4, 4]
    for name, (gpu, _) in list(played.ray.running.items()):
        if gpu == 1 or played.ray.loads[0] > 2:
            played.end(name)
    assert played.ray.loads == [2, 0]
    played.fill()
    assert played.ray.loads == [2, 1]
