"""Ctrl-C and SIGTERM: a search ends so that it can be resumed."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType

# Kubernetes and Slurm send SIGKILL 30 s after SIGTERM by default.
STUCK_AFTER_S = 10.0
# By convention of the shells: 128 plus the number of the signal.
TERMINATED_STATUS = 143


# A KeyboardInterrupt, so that no `except Exception` on the way out swallows it.
class Terminated(KeyboardInterrupt):
    """SIGTERM came; Slurm and Kubernetes send it some seconds before SIGKILL."""


class Interrupts:
    """Counts Ctrl-C: the first ends the search after the running epochs, the second at once.

    A third raises KeyboardInterrupt. SIGTERM ends the search at once, as the second Ctrl-C does.

    Args:
        on_first: Called at the first.
        on_second: Called at the second, and at SIGTERM.
        on_stuck: Called in a thread if the block has not ended `STUCK_AFTER_S` after SIGTERM: if
            Ray was killed too, the main thread may wait for it for a minute.

    Attributes:
        is_urgent: Whether not to wait for the running epochs.
        is_terminated: Whether SIGTERM came.
    """

    def __init__(
        self,
        on_first: Callable[[], None],
        on_second: Callable[[], None],
        on_stuck: Callable[[], None] = lambda: None,
    ) -> None:
        self.is_urgent = False
        self.is_terminated = False
        self._on_first = on_first
        self._on_second = on_second
        self._on_stuck = on_stuck
        self._timer: threading.Timer | None = None
        self._count = 0

    def __enter__(self) -> "Interrupts":
        # Python lets only the main thread set signal handlers.
        self._is_installed = threading.current_thread() is threading.main_thread()
        if self._is_installed:
            self._before = {
                number: signal.signal(number, handler)
                for number, handler in (
                    (signal.SIGINT, self._handle),
                    (signal.SIGTERM, self._terminate),
                )
            }
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_installed:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._count += 1
        if self._count == 1:
            self._on_first()
        elif self._count == 2:
            self.is_urgent = True
            self._on_second()
        else:
            raise KeyboardInterrupt

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.is_terminated = True
        # The first SIGTERM counts: later ones do not move the deadline of SIGKILL.
        if self._timer is None:
            self._timer = threading.Timer(STUCK_AFTER_S, self._on_stuck)
            # As a daemon it does not keep a process alive that ends by itself in time.
            self._timer.daemon = True
            self._timer.start()
        if not self.is_urgent:
            self.is_urgent = True
            self._on_second()


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` inside the block; does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def raise_it(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise Terminated

    before = signal.signal(signal.SIGTERM, raise_it)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def keeping_sigterm() -> Iterator[None]:
    """Restore the handler of SIGTERM that code in the block replaces, as `ray.init` does.

    Raises:
        Terminated: SIGTERM came inside the block; Ray's handler turns it into a SystemExit.
    """
    try:
        with _restored_sigterm():
            yield
    except Terminated:
        # The process ends, and with it the connections of Ray's threads.
        threading.excepthook = _without_those_of_ray(threading.excepthook)
        raise


@contextmanager
def _restored_sigterm() -> Iterator[None]:
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    with _noted_signals() if is_main else nullcontext(frozenset[int]) as noted:
        try:
            with _ends_unprinted():
                yield
        except SystemExit as end:
            if end.code != signal.SIGTERM:
                raise
            raise Terminated from None
        finally:
            # Where Python has no handler of ours, Ray's stays: it ends Ray's processes.
            if is_main and callable(before):
                signal.signal(signal.SIGTERM, before)
        # The exception of a handler is lost in a hook of Python's, such as those around a fork.
        if signal.SIGTERM in noted():
            if not callable(before):
                raise Terminated
            before(signal.SIGTERM, None)


@contextmanager
def _noted_signals() -> Iterator[Callable[[], frozenset[int]]]:
    """Give a function that returns the signals that came inside the block.

    Python writes each there before its handler is called.
    """
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def noted() -> frozenset[int]:
        with suppress(BlockingIOError):
            return frozenset(os.read(reader, 4096))
        return frozenset()

    try:
        yield noted
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


@contextmanager
def _ends_unprinted() -> Iterator[None]:
    """Print no traceback where Python ignores the exception of a handler of SIGTERM."""
    before = sys.unraisablehook

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        found = unraisable.exc_value
        if isinstance(found, Terminated):
            return
        if not (isinstance(found, SystemExit) and found.code == signal.SIGTERM):
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _without_those_of_ray(
    hook: Callable[[threading.ExceptHookArgs], object],
) -> Callable[[threading.ExceptHookArgs], object]:
    """Return a hook that does not print the exceptions of Ray's threads."""

    def filtered(failed: threading.ExceptHookArgs) -> None:
        if failed.thread is None or not failed.thread.name.startswith("ray_"):
            hook(failed)

    return filtered
