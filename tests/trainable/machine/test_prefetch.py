"""Prefetching keeps order and errors, stops early, and leaves no thread behind."""

import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from trainable.machine.prefetch import THREAD_NAME, prefetched, to_device, to_host_later


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


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
@pytest.mark.usefixtures("two_threads")
def test_the_thread_starts_no_team_of_threads_of_its_own() -> None:
    big = torch.ones(1 << 20, dtype=torch.float16)

    def num_os_threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    def source() -> Iterator[tuple[int, int]]:
        for _ in range(2):
            big.float()  # large enough for several threads
            yield torch.get_num_threads(), num_os_threads()

    big.float()  # so that the team of this thread exists
    before = num_os_threads()
    assert list(prefetched(source())) == [(1, before + 1)] * 2
    # Neither this thread nor one that calls PyTorch for the first time computes on fewer.
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == torch.get_num_threads() == 2


def test_a_tensor_on_its_device_is_not_copied() -> None:
    tensor = torch.ones(3)
    assert to_device(tensor, torch.device("cpu")) is tensor


class OnGpu(torch.Tensor):
    """A tensor that reports a GPU as its device, and the streams that it is used on."""

    seen: ClassVar[list[str]] = []

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda:0")

    def record_stream(self, stream: "FakeStream") -> None:  # type: ignore[override]
        self.seen.append(f"item used on {stream.name}")


class FakeStream:
    """A stream that writes down what waits for what."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self._log, self._events = name, log, 0

    def wait_stream(self, other: "FakeStream") -> None:
        self._log.append(f"{self.name} waits for {other.name}")

    def wait_event(self, event: str) -> None:
        self._log.append(f"{self.name} waits for {event}")

    def record_event(self) -> str:
        self._events += 1
        return f"event {self._events} of {self.name}"


def test_work_of_the_source_on_a_gpu_is_queued_beside_the_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log: list[str] = []
    steps, side = FakeStream("steps", log), FakeStream("side", log)
    current = threading.local()
    monkeypatch.setattr(OnGpu, "seen", log)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: side)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: getattr(current, "stream", steps))

    @contextmanager
    def use(stream: FakeStream) -> Iterator[None]:
        current.stream = stream
        yield
        current.stream = steps

    monkeypatch.setattr(torch.cuda, "stream", use)

    def source() -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
        for number in range(2):
            feat = torch.full((2,), float(number)).as_subclass(OnGpu)
            yield torch.cuda.current_stream(0).name, {"feat": feat, "host": torch.ones(1)}

    device = torch.device("cuda")
    for number, (stream, item) in enumerate(prefetched(source(), 1, device=device)):
        assert stream == "side"
        assert item["feat"].tolist() == [number] * 2
        log.append(f"step {number}")
    assert log == [
        "side waits for steps",
        "steps waits for event 1 of side",
        "item used on steps",
        "step 0",
        "steps waits for event 2 of side",
        "item used on steps",
        "step 1",
    ]


def test_an_error_of_work_on_a_side_stream_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = FakeStream("any", [])
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield 1
            raise LookupError("shard 7 is gone")
        finally:
            closed.set()

    items = prefetched(source(), device=torch.device("cuda"))
    assert next(items) == 1
    with pytest.raises(LookupError, match="shard 7 is gone"):
        next(items)
    assert closed.is_set()


def test_a_tensor_of_the_cpu_is_on_the_host_at_once() -> None:
    tensor = torch.ones(3)
    assert to_host_later(tensor)() is tensor


@pytest.mark.gpu
def test_copies_to_the_gpu_are_done_when_they_are_used() -> None:
    device = torch.device("cuda")

    def source() -> Iterator[torch.Tensor]:
        for number in range(50):
            yield to_device(torch.full((64, 200, 80), float(number)), device)

    for number, tensor in enumerate(prefetched(source())):
        assert tensor.device.type == "cuda"
        assert tensor.mean().item() == number


@pytest.mark.gpu
def test_a_side_stream_and_later_copies_give_the_same_numbers() -> None:
    device = torch.device("cuda")

    def source() -> Iterator[torch.Tensor]:
        for number in range(50):
            yield to_device(torch.full((64, 200, 80), float(number)), device) + 1

    waits = [
        to_host_later(tensor.mean(dim=(1, 2))) for tensor in prefetched(source(), device=device)
    ]
    assert [wait().tolist() for wait in waits] == [[number + 1.0] * 64 for number in range(50)]
