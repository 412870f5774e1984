"""Work that follows a search, done so often that it takes a small share of the time."""

import time
from collections.abc import Callable

# Of the time. The screen and the checkpoints to keep are found from all trials, at every result.
SHARE = 0.05


class Paced:
    """A function that is skipped while its last call is more than `SHARE` of the time since.

    Args:
        call: The function.
        clock: Returns seconds; only differences count.
    """

    def __init__(
        self, call: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._call = call
        self._clock = clock
        self._due_s = clock()

    def __call__(self) -> None:
        """Call the function, if it is due."""
        begun_s = self._clock()
        if begun_s < self._due_s:
            return
        self._call()
        ended_s = self._clock()
        self._due_s = ended_s + (ended_s - begun_s) * (1 / SHARE - 1)
