"""Prefetching keeps order and errors, stops early, and leaves no thread behind."""

import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing

import pytest
import torch

from trainable.machine.prefetch import THREAD_NAME, prefetched, to_device


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert [t.name for t in threading.enumerate() if t.name == THREAD_NAME] == []


def numbers(count: int, seen: list[int]) -> Iterator[int]:
    for number in range(count):
        seen.append(number)
        yield number


@pytest.mark.parametrize("ahead", [1, 3, 50])
def test_items_come_in_order_and_all(ahead: int) -> None:
    assert list(prefetched(numbers(20, []), ahead)) == list(range(20))
    assert list(prefetched(numbers(0, []), ahead)) == []


def test_it_works_ahead_in_another_thread_but_not_far() -> None:
    seen: list[int] = []
    who: set[int] = set()

    def source() -> Iterator[int]:
        for number in numbers(100, seen):
            who.add(threading.get_ident())
            yield number

    with closing(prefetched(source(), 2)) as items:
        assert next(items) == 0
        deadline = time.monotonic() + 5
        while len(seen) < 4 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        # One was taken, two wait, and one is at the full queue.
        assert seen == [0, 1, 2, 3]
    assert who == who - {threading.get_ident()}


def test_an_error_comes_out_after_the_items_before_it_and_shows_its_place() -> None:
    def breaks_here() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("shard 7 is gone")

    got: list[int] = []
    with pytest.raises(LookupError, match="shard 7 is gone") as raised:
        got.extend(prefetched(breaks_here()))
    assert got == [1, 2]
    assert "breaks_here" in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("ahead", [1, 3])
@pytest.mark.parametrize("taken", [1, 2, 5])
def test_a_consumer_that_stops_early_ends_the_thread(ahead: int, taken: int) -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    with closing(prefetched(endless(), ahead)) as items:
        assert [next(items) for _ in range(taken)] == list(range(taken))
    assert closed.is_set()


def test_a_consumer_that_raises_ends_the_thread() -> None:
    def consume() -> list[float]:
        with closing(prefetched(numbers(50, []), 1)) as items:
            return [1 / (3 - item) for item in items]

    with pytest.raises(ZeroDivisionError):
        consume()


def test_one_that_is_never_asked_starts_no_thread() -> None:
    items = prefetched(numbers(5, seen := []))
    items.close()
    assert seen == []


def test_a_tensor_on_its_device_is_not_copied() -> None:
    tensor = torch.ones(3)
    assert to_device(tensor, torch.device("cpu")) is tensor


@pytest.mark.gpu
def test_copies_to_the_gpu_are_done_when_they_are_used() -> None:
    device = torch.device("cuda")

    def source() -> Iterator[torch.Tensor]:
        for number in range(50):
            yield to_device(torch.full((64, 200, 80), float(number)), device)

    for number, tensor in enumerate(prefetched(source())):
        assert tensor.device.type == "cuda"
        assert tensor.mean().item() == number
