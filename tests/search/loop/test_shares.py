"""GPU shares against numbers worked by hand."""

import pytest

from search.loop.shares import (
    RaisedShare,
    ResourceShare,
    ShareAllocator,
    gpu_share,
    part_of_gpu,
)

MIB = 2**20


@pytest.mark.parametrize(
    ("step_mib", "context_mib", "total_mib", "share"),
    [
        # 1000 x 1.25 + 500 = 1750 MiB a trial: 80,000 / 1750 = 45.7.
        (1000, 500, 80_000, 1 / 45),
        # 4000 x 1.25 + 500 = 5500: 24,000 / 5500 = 4.4.
        (4000, 500, 24_000, 1 / 4),
        # Exactly two: 2 x (9200 x 1.25 + 500) = 24,000.
        (9200, 500, 24_000, 1 / 2),
        # A MiB more, and only one.
        (9201, 500, 24_000, 1),
        # Not even a whole GPU is enough: the trial runs out of memory and fails.
        (40_000, 500, 24_000, 1),
    ],
)
def test_share_is_the_smallest_that_holds_step_margin_and_context(
    step_mib, context_mib, total_mib, share
):
    found = gpu_share(
        step_bytes=step_mib * MIB,
        context_bytes=context_mib * MIB,
        total_bytes=total_mib * MIB,
    )
    assert found == pytest.approx(share, abs=1e-4)
    assert found <= share


@pytest.mark.parametrize("num", [1, 2, 3, 6, 7, 12, 64])
def test_n_trials_with_the_share_fit_a_gpu_as_ray_counts_it(num):
    found = part_of_gpu(num)
    assert 10_000 // round(found * 10_000) >= num
    assert 10_000 // round(found * 10_000) == num


def test_gpu_share_doubles_up_to_a_whole_gpu():
    allocator = ShareAllocator(base=ResourceShare(num_cpus=1, num_gpus=0.3333), max_cpus=8)
    shares, places = [allocator.base], []
    while (raised := allocator.doubled(shares[-1])) is not None:
        shares.append(allocator.share_of(raised))
        places.append(allocator.num_base_shares(shares[-1]))
    assert shares[1:] == [
        ResourceShare(num_cpus=1, num_gpus=0.6666),
        ResourceShare(num_cpus=1, num_gpus=1.0),
    ]
    assert places == pytest.approx([2, 3], abs=1e-3)
    assert allocator.num_base_shares(allocator.base) == 1


def test_what_a_raised_share_adds_is_for_the_steps_too():
    """Else log-mels would take what a trial was given after it ran out of memory."""
    allocator = ShareAllocator(
        base=ResourceShare(num_cpus=1, num_gpus=0.25), max_cpus=8, step_bytes=1500 * MIB
    )
    assert allocator.step_bytes_of(None) == 1500 * MIB
    assert allocator.step_bytes_of(RaisedShare(resource="gpu", share=0.5)) == 3000 * MIB
    assert allocator.step_bytes_of(RaisedShare(resource="cpu", share=4)) == 1500 * MIB


def test_trial_with_whole_gpus_gets_no_more():
    allocator = ShareAllocator(base=ResourceShare(num_cpus=1, num_gpus=2), max_cpus=8)
    assert allocator.doubled(allocator.base) is None
    assert allocator.largest_in_words() == "a whole GPU"


def test_trial_on_cpus_gets_more_of_them_until_the_largest_node_is_its_own():
    allocator = ShareAllocator(base=ResourceShare(num_cpus=1.5, num_gpus=0), max_cpus=4)
    first = allocator.doubled(allocator.base)
    assert first == RaisedShare(resource="cpu", share=3.0)
    second = allocator.doubled(allocator.share_of(first))
    assert allocator.share_of(second) == ResourceShare(num_cpus=4, num_gpus=0)
    assert allocator.doubled(allocator.share_of(second)) is None
    assert allocator.largest_in_words() == "all 4 CPUs of the largest node to itself"


def test_raised_share_is_a_least_one_and_of_its_own_resource():
    """A resumed search may be given other resources."""
    raised = RaisedShare(resource="gpu", share=0.5)
    larger = ShareAllocator(base=ResourceShare(num_cpus=1, num_gpus=1), max_cpus=8)
    assert larger.share_of(raised) == larger.base
    on_cpus = ShareAllocator(base=ResourceShare(num_cpus=1, num_gpus=0), max_cpus=8)
    assert on_cpus.share_of(raised) == on_cpus.base
    assert on_cpus.doubled(on_cpus.base) == RaisedShare(resource="cpu", share=2.0)
    on_one_cpu = ShareAllocator(base=ResourceShare(num_cpus=1, num_gpus=0), max_cpus=1)
    assert on_one_cpu.share_of(RaisedShare(resource="cpu", share=8)).num_cpus == 1


@pytest.mark.parametrize(("num_cpus", "threads"), [(0.25, 1), (1, 1), (1.5, 1), (4, 4), (4.9, 4)])
def test_threads_are_no_more_than_the_cpus_of_the_share(num_cpus, threads):
    assert ResourceShare(num_cpus=num_cpus, num_gpus=0).num_threads == threads


@pytest.mark.parametrize(
    ("taken", "num_to_come", "share"),
    [
        ([], 7, 0.25),  # eight at once: no more than a quarter each
        ([1] * 7, 0, 0.25),  # steady: the eighth takes what is free
        ([], 3, 0.5),  # four at once: two on each GPU
        ([1, 1], 0, 0.75),  # the last beside two, which may share a GPU: it fits only the other
        ([1] * 4, 0, 0.5),
        ([1], 0, 1.0),
        ([1], 1, 1.0),
        ([4], 1, 0.5),  # the whole GPU of another is not free for anyone
        ([1] * 9, 0, 0.25),  # more taken than there is: a trial came back unexpectedly
        ([4, 4, 1], 0, 0.75),
    ],
)
def test_share_grows_where_few_trials_run(taken, num_to_come, share):
    allocator = ShareAllocator(
        base=ResourceShare(num_cpus=1, num_gpus=0.25), max_cpus=8, num_gpus=2
    )
    found = allocator.spread_share(None, taken, num_to_come)
    assert found == ResourceShare(num_cpus=1, num_gpus=share)
    half = RaisedShare(resource="gpu", share=0.5)
    raised = allocator.spread_share(half, taken, num_to_come)
    assert raised.num_gpus == max(0.5, share)


@pytest.mark.parametrize(("num_gpus", "share"), [(0, 0.25), (2, 0), (2, 1), (2, 2)])
def test_share_without_anything_to_spread_stays(num_gpus, share):
    base = ResourceShare(num_cpus=1, num_gpus=share)
    allocator = ShareAllocator(base=base, max_cpus=8, num_gpus=num_gpus)
    assert allocator.spread_share(None, [], 0) == base
