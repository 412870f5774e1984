"""The suggestions behind Ray Tune's Searcher interface."""

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from search.cluster.resources import at_once_line
from search.loop.coordinator import Coordinator
from search.loop.shares import ShareAllocator
from search.loop.trial_course import TrialCourse

# Shares are multiples of 1/10,000, so slots that should be whole may miss it by a little.
TOLERANCE = 1e-3


class TrialSlots:
    """The slots of a cluster, one for each trial of the search's normal share.

    A trial with a raised share takes several slots. Until it runs, no other trial gets a slot:
    otherwise each free slot would go to a smaller trial, and the large one would never start.

    Args:
        allocator: The resources of a trial.
        num_slots: Trials of the normal share that fit the cluster at the same time.
        max_concurrent: Trials that may run at the same time, None for as many as fit.

    Attributes:
        allocator: As given.
        at_once: Trials of the normal share that run at the same time.
    """

    def __init__(
        self, allocator: ShareAllocator, num_slots: int, max_concurrent: int | None
    ) -> None:
        self.allocator = allocator
        self.at_once = min(max_concurrent or num_slots, num_slots)
        self._num_slots = num_slots
        self._taken: dict[str, float] = {}
        self._waiting: set[str] = set()

    def in_words(self) -> str:
        """Return a line with the number of trials at once and the resources of each."""
        return at_once_line(self.at_once, self._num_slots, self.allocator.base)

    @property
    def are_full(self) -> bool:
        """Whether another trial would have to wait."""
        is_taken = sum(self._taken.values()) > self._num_slots - 1 + TOLERANCE
        return bool(self._waiting) or is_taken or len(self._taken) >= self.at_once

    def take(self, name: str, course: TrialCourse) -> None:
        """Assign slots to the trial with Ray's name `name`."""
        self._taken[name] = self.allocator.num_base_shares(course.raised)
        if self._taken[name] > 1:
            self._waiting.add(name)

    def note_start(self, name: str) -> None:
        """Record that a trial has its resources and runs."""
        self._waiting.discard(name)

    def free(self, name: str) -> None:
        """Free the slots of a trial."""
        self._taken.pop(name, None)
        # A trial may end before it ran, for instance if its worker could not start.
        self._waiting.discard(name)


class CoordinatorSearcher(Searcher):
    """Passes the coordinator's trials to Ray, as many at a time as there are slots.

    Results take another way: Ray drops some before it notifies the searcher, and suppresses the
    searcher's errors. The scheduler passes them to the coordinator.

    Args:
        coordinator: The search.
        make_task: Returns a trial's Ray config.
        slots: The slots of the cluster.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        make_task: Callable[[TrialCourse], dict[str, Any]],
        *,
        slots: TrialSlots,
    ) -> None:
        super().__init__()
        self._coordinator = coordinator
        self._make_task = make_task
        self._slots = slots

    def suggest(  # type: ignore[override]  # Ray's own FINISHED is text
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """Return the next trial's Ray config, None to be asked again later, or FINISHED."""
        # A halted search must answer at once, so that Tune learns that it has finished.
        if self._slots.are_full and self._coordinator.halted is None:
            return None
        with self._coordinator.keeping_errors():
            course = self._coordinator.next_trial()
        if course is None:
            # After FINISHED Ray asks no more, but a running trial may fail and have to run again.
            may_continue = self._coordinator.halted is None and self._coordinator.has_running
            return None if may_continue else self.FINISHED
        self._slots.take(trial_id, course)
        return self._make_task(course)

    def on_trial_start(self, trial_id: str) -> None:
        """Record that a trial has a worker; `Recorder` calls this; Ray does not."""
        self._slots.note_start(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Free the trial's slots."""
        del result, error
        self._slots.free(trial_id)
