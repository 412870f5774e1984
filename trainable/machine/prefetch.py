"""Prefetching: one background thread makes batches before they are used."""

import threading
from collections.abc import Generator, Iterator
from queue import Empty, Queue
from typing import TypeVar, cast

import torch
from torch import Tensor

# Enough to bridge a slow read; more batches would only take memory.
BATCHES_AHEAD = 3
THREAD_NAME = "veer-prefetch"

_Item = TypeVar("_Item")


class _Failure:
    """An error of the thread, queued in place of an item."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def prefetched(source: Iterator[_Item], ahead: int = BATCHES_AHEAD) -> Generator[_Item]:
    """Yield the items of an iterator that a background thread runs ahead of the consumer.

    The thread starts when the first item is requested. An error of the thread is raised here, with
    its traceback, after the items before it. The thread ends with the iterator, or when the
    generator is closed: a consumer that may stop early puts `contextlib.closing` around it.

    Args:
        source: Iterator that only the thread uses; closed by the thread if it has `close`.
        ahead: Number of items that wait at most.
    """
    waiting: Queue[object] = Queue(ahead)
    stopped = threading.Event()
    # A daemon: a generator that is never closed must not keep the process alive.
    thread = threading.Thread(
        target=_run_through, args=(source, waiting, stopped), name=THREAD_NAME, daemon=True
    )
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield cast(_Item, item)
    finally:
        stopped.set()
        # The thread may wait before a full queue: empty it, so that its last `put` returns.
        _empty(waiting)
        thread.join()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on a device; a copy to a GPU is not waited for."""
    # The copy is queued on the stream that the training steps run on, so it is done before a step
    # reads the tensor. Only a copy from pinned memory does not block the thread.
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


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
