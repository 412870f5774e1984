"""Batches made ahead of their use by one background thread."""

import threading
from collections.abc import Generator, Iterator
from queue import Empty, Queue
from typing import TypeVar, cast

import torch
from torch import Tensor

# Enough to bridge a slow read; more would only hold memory.
BATCHES_AHEAD = 3
THREAD_NAME = "veer-prefetch"

_Item = TypeVar("_Item")


class _Failure:
    """What the thread met in place of an item."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def prefetched(source: Iterator[_Item], ahead: int = BATCHES_AHEAD) -> Generator[_Item]:
    """The items of an iterator, which a thread of its own runs through ahead of the consumer.

    The thread starts with the first item asked for. What it raises is raised here, with its
    traceback, after the items before it. It ends when the iterator does, or when the generator is
    closed: a consumer that may stop early puts `contextlib.closing` around it.

    Args:
        source: Used by the thread alone; closed by it where it can be.
        ahead: Items that wait at most.
    """
    waiting: Queue[object] = Queue(ahead)
    stopped = threading.Event()
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
        # The thread may stand before a full queue; with it empty, its last item finds room.
        _empty(waiting)
        thread.join()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; onto a GPU without waiting for the copy.

    A thread queues the copy on the stream that the steps run on, so a step sees it done.
    """
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _run_through(
    source: Iterator[object], waiting: Queue[object], stopped: threading.Event
) -> None:
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
    if not stopped.is_set():
        waiting.put(last)


def _empty(waiting: Queue[object]) -> None:
    while True:
        try:
            waiting.get_nowait()
        except Empty:
            return
