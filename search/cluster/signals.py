"""Ctrl-C and SIGTERM: end a search so that it can be resumed."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Kubernetes and Slurm send SIGKILL 30 s after SIGTERM.
STUCK_AFTER_S = 10.0
# The exit status of what SIGTERM ended: 128 and the signal's number.
TERMINATED_STATUS = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM came: what Slurm and Kubernetes send some seconds before SIGKILL."""


class Interrupts:
    """Counts Ctrl-C: the first ends the search after the running epochs, the second at once.

    A third has Python's own effect. SIGTERM ends it at once, as the second does.

    Args:
        on_first: Called at the first.
        on_second: Called at the second, and at SIGTERM.
        on_stuck: Called in a thread where the context lasts on `STUCK_AFTER_S` after SIGTERM: a
            Ray that was killed too may keep the main thread waiting for a minute.

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
        if self._timer is None:
            self._timer = threading.Timer(STUCK_AFTER_S, self._on_stuck)
            self._timer.daemon = True
            self._timer.start()
        if not self.is_urgent:
            self.is_urgent = True
            self._on_second()


@contextmanager
def terminable() -> Iterator[None]:
    """Lets SIGTERM raise `Terminated` meanwhile; in another thread than the main one nothing."""
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
    """Puts a handler of SIGTERM back that others replace meanwhile, as `ray.init` does.

    Raises:
        Terminated: SIGTERM came meanwhile; Ray's handler makes a SystemExit of it.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as end:
        if end.code != signal.SIGTERM:
            raise
        raise Terminated from None
    finally:
        is_main = threading.current_thread() is threading.main_thread()
        # Without a handler of ours Ray's, which ends its processes, is better than none.
        if is_main and callable(before):
            signal.signal(signal.SIGTERM, before)
