"""Prefetching: one background thread makes batches before they are used."""

import threading
from collections.abc import Callable, Generator, Iterator
from queue import Empty, Queue
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

CPU = torch.device("cpu")
# Enough to bridge a slow read; more batches would only take memory.
BATCHES_AHEAD = 3
THREAD_NAME = "veer-prefetch"

_Item = TypeVar("_Item")


class _Failure:
    """An error of the thread, queued in place of an item."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


class _OneCoreThread(threading.Thread):
    """A thread whose PyTorch operators use no further threads.

    PyTorch's threads belong to the thread that calls an operator: a second caller gets a second
    team of them. With more threads than cores, OpenMP's threads no longer spin while they wait,
    so every operator of the first caller has to wake its own by a system call.
    """

    def start(self) -> None:
        """Start the thread; the caller's number of threads, and that of later ones, is kept."""
        num_threads = torch.get_num_threads()
        self._is_set = threading.Event()
        super().start()
        self._is_set.wait()
        # PyTorch also remembers the last number as that of threads which call it later.
        torch.set_num_threads(num_threads)

    def run(self) -> None:
        """Run the target on one core."""
        # PyTorch's first call in a thread takes the number that was set last in any thread.
        torch.get_num_threads()
        torch.set_num_threads(1)
        self._is_set.set()
        super().run()


def prefetched(
    source: Iterator[_Item], ahead: int = BATCHES_AHEAD, *, device: torch.device = CPU
) -> Generator[_Item]:
    """Yield the items of an iterator that a background thread runs ahead of the consumer.

    The thread starts when the first item is requested. An error of the thread is raised here, with
    its traceback, after the items before it. The thread ends with the iterator, or when the
    generator is closed: a consumer that may stop early puts `contextlib.closing` around it.

    Args:
        source: Iterator that only the thread uses; closed by the thread if it has `close`.
        ahead: Number of items that wait at most.
        device: Where the source puts the tensors of its items. On a GPU all that it queues there
            runs beside the work of the caller, not after it.
    """
    made: Iterator[object] = source
    if device.type == "cuda":
        made = _OnSideStream(source, device)
    waiting: Queue[object] = Queue(ahead)
    stopped = threading.Event()
    # A daemon: a generator that is never closed must not keep the process alive.
    thread = _OneCoreThread(
        target=_run_through, args=(made, waiting, stopped), name=THREAD_NAME, daemon=True
    )
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item.received() if isinstance(item, _QueuedItem) else cast(_Item, item)
    finally:
        stopped.set()
        # The thread may wait before a full queue: empty it, so that its last `put` returns.
        _empty(waiting)
        thread.join()


class _QueuedItem(Generic[_Item]):
    """An item whose tensors may still be in the making on another stream."""

    def __init__(self, item: _Item, made: torch.cuda.Event, device: torch.device) -> None:
        self._item, self._made, self._device = item, made, device

    def received(self) -> _Item:
        """Return the item; what the caller queues from here on waits for it on the device."""
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(self._made)
        for leaf in tree_leaves(self._item):
            if isinstance(leaf, Tensor) and leaf.device.type == "cuda":
                # Else its memory would be free for the next item before the caller's work is done.
                leaf.record_stream(stream)
        return self._item


class _OnSideStream(Iterator[_QueuedItem[_Item]]):
    """An iterator whose work on a GPU is queued on a stream of its own."""

    def __init__(self, source: Iterator[_Item], device: torch.device) -> None:
        self._source, self._device = source, device
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        # What the source reads may still be in the making on the caller's stream.
        self._stream.wait_stream(torch.cuda.current_stream(device))

    def __next__(self) -> _QueuedItem[_Item]:
        """Make the next item."""
        with torch.cuda.stream(self._stream):
            item = next(self._source)
            return _QueuedItem(item, self._stream.record_event(), self._device)

    def close(self) -> None:
        """Close the source, if it can be closed."""
        if close := getattr(self._source, "close", None):
            close()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on a device; a copy to a GPU is not waited for.

    It is queued on the current stream: on that of the training steps, or on the one of
    `prefetched`, whose items wait for their copies.
    """
    # Only a copy from pinned memory does not block the thread.
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_host_later(tensor: Tensor) -> Callable[[], Tensor]:
    """Begin to copy a tensor to the host; return a function that waits for it and returns it.

    On a GPU more work can be queued before that, so that it is busy meanwhile.
    """
    if tensor.device.type != "cuda":
        return lambda: tensor
    copied = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    copied.copy_(tensor, non_blocking=True)
    done = torch.cuda.current_stream(tensor.device).record_event()

    def wait() -> Tensor:
        done.synchronize()
        return copied

    return wait


def _run_through(
    source: Iterator[object], waiting: Queue[object], stopped: threading.Event
) -> None:
    """Put the items of the source into the queue, then `_END` or the failure."""
    last: object = _END
    try:
        for item in source:
            waiting.put(item)
            if stopped.is_set():
                break
        if close := getattr(source, "close", None):
            close()
    except BaseException as error:  # noqa: BLE001 - the consumer raises it
        last = _Failure(error)
    # Nobody empties the queue after a stop: the put could wait forever.
    if not stopped.is_set():
        waiting.put(last)


def _empty(waiting: Queue[object]) -> None:
    while True:
        try:
            waiting.get_nowait()
        except Empty:
            return
