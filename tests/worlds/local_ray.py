"""The Ray of this test process: one for all tests that need one."""

from contextlib import ExitStack


class LocalRay:
    """A Ray of one node with two CPUs and a GPU that is only declared, started when needed."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._is_up = False

    def start(self) -> None:
        """Start it, unless it runs."""
        from search.cluster.connection import connected  # imports Ray, which most tests do not

        if not self._is_up:
            self._running.enter_context(connected(None, num_cpus=2, num_gpus=1))
            self._is_up = True

    def stop(self) -> None:
        """Stop it, if it runs."""
        self._running.close()
        self._is_up = False
