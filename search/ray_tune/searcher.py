"""The suggestions behind Ray Tune's Searcher interface."""

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from search.loop.coordinator import Coordinator
from search.loop.shares import ShareAllocator
from search.loop.trial_course import TrialCourse

# Shares are fractions in ten-thousandths.
TOLERANCE = 1e-3


class Places:
    """The places of a cluster that trials may take.

    A trial with a raised share takes those of several, and until it runs no other gets one: else
    each place that becomes free would go to a smaller trial.

    Args:
        allocator: Decides the share of a trial.
        num_places: Trials with the search's own share that the cluster fits.
        max_concurrent: Trials that may be out at once.
    """

    def __init__(self, allocator: ShareAllocator, num_places: int, max_concurrent: int) -> None:
        self._allocator = allocator
        self._num_places = num_places
        self._max_concurrent = max_concurrent
        self._taken: dict[str, float] = {}
        self._waits: set[str] = set()

    @property
    def are_full(self) -> bool:
        """Whether another trial would have to wait."""
        is_taken = sum(self._taken.values()) > self._num_places - 1 + TOLERANCE
        return bool(self._waits) or is_taken or len(self._taken) >= self._max_concurrent

    def take(self, name: str, course: TrialCourse) -> None:
        """Gives a trial, by Ray's name, its places."""
        self._taken[name] = self._allocator.num_base_shares(course.raised)
        if self._taken[name] > 1:
            self._waits.add(name)

    def note_start(self, name: str) -> None:
        """Notes that a trial has got what it asked for."""
        self._waits.discard(name)

    def free(self, name: str) -> None:
        """Takes a trial's places back."""
        self._taken.pop(name, None)
        self._waits.discard(name)


class CoordinatorSearcher(Searcher):
    """Hands the coordinator's trials to Ray, as many at a time as there are places.

    Results do not come this way: Ray drops some before it tells the searcher, and swallows what
    the searcher raises. The scheduler tells the coordinator.

    Args:
        coordinator: The search.
        make_task: Gives a trial's Ray config.
        places: Where trials may be.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        make_task: Callable[[TrialCourse], dict[str, Any]],
        *,
        places: Places,
    ) -> None:
        super().__init__()
        self._coordinator = coordinator
        self._make_task = make_task
        self._places = places

    def suggest(  # type: ignore[override]  # Ray's own FINISHED is text
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """Gives the next trial's Ray config, None while all places are taken, or the end."""
        if self._places.are_full and self._coordinator.halted is None:
            return None
        with self._coordinator.keeping_errors():
            course = self._coordinator.next_trial()
        if course is None:
            # After the end Ray asks no more, and a trial that is out may have to run again.
            waits = self._coordinator.halted is None and self._coordinator.has_running
            return None if waits else self.FINISHED
        self._places.take(trial_id, course)
        return self._make_task(course)

    def on_trial_start(self, trial_id: str) -> None:
        """Notes that a trial has a worker; Ray's callbacks say so."""
        self._places.note_start(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Frees the trial's places."""
        del result, error
        self._places.free(trial_id)
