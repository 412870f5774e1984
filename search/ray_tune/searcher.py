"""The suggestions behind Ray Tune's Searcher interface."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune.search import Searcher

from search.cluster.resources import at_once_line
from search.loop.coordinator import Coordinator
from search.loop.shares import TOLERANCE, ResourceShare, ShareAllocator
from search.loop.trial_course import TrialCourse

# Time for which a free slot is kept for a trial with a raised share, which needs a second one
# beside it. After that a smaller trial gets it: the next slot may become free on another GPU.
KEPT_WITHIN_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What a trial has: its slots, and the base shares of GPUs, which may be more."""

    num_slots: float
    num_shares: float


class TrialSlots:
    """The slots of a cluster, one for each trial of the search's normal share.

    A trial with a raised share takes several slots. While it waits for them, a free slot is kept
    for it for `KEPT_WITHIN_S`: otherwise each would go to a smaller trial at once, and the large
    one would hardly ever start. It waits here and not in Ray: where the GPUs of a node together
    have free what it needs, and none of them alone, Ray tries to place it again and again, and
    nothing else (measured with Ray 2.60).

    Args:
        allocator: The resources of a trial.
        num_slots: Trials of the normal share that fit the cluster at the same time.
        max_concurrent: Trials that may run at the same time, None for as many as fit.
        clock: Returns seconds; only differences count.

    Attributes:
        allocator: As given.
        at_once: Trials of the normal share that run at the same time.
    """

    def __init__(
        self,
        allocator: ShareAllocator,
        num_slots: int,
        max_concurrent: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.allocator = allocator
        self._max_concurrent = max_concurrent
        self.resize(num_slots)
        self._clock = clock
        self._taken: dict[str, _Taken] = {}
        self._waiting: set[str] = set()
        self._freed_s = clock()

    def resize(self, num_slots: int) -> None:
        """Set the number of slots, after nodes have joined or left."""
        self._num_slots = num_slots
        self.at_once = min(self._max_concurrent or num_slots, num_slots)

    def in_words(self) -> str:
        """Return a line with the number of trials at once and the resources of each."""
        line = at_once_line(self.at_once, self._num_slots, self.allocator.base)
        unused = 0 if self.allocator.base.num_gpus else self.allocator.num_all_gpus
        if not unused:
            return line
        return f"{line}; GPUs not used: {unused}, as resources.gpu is 0 (--gpu auto)"

    def fits(self, course: TrialCourse) -> bool:
        """Return whether Ray has room for the trial's share, if it has for a normal one."""
        share = self.allocator.share_of(course.raised)
        return self.allocator.is_free(share, self._taken_shares)

    def are_full(self, returning: Sequence[TrialCourse] = ()) -> bool:
        """Return whether another trial would have to wait.

        Args:
            returning: Trials that are to run again, maybe with a raised share.
        """
        is_kept = bool(self._waiting) or not all(map(self.fits, returning))
        if is_kept and self._clock() - self._freed_s < KEPT_WITHIN_S:
            return True
        # A trial that still waits has nothing yet.
        running = [taken for name, taken in self._taken.items() if name not in self._waiting]
        num_taken = sum(taken.num_slots for taken in running)
        return num_taken > self._num_slots - 1 + TOLERANCE or len(running) >= self.at_once

    def take(self, name: str, course: TrialCourse, num_to_come: int) -> ResourceShare:
        """Assign slots to a trial, and return its share.

        Args:
            name: Ray's name of the trial.
            course: The trial.
            num_to_come: Trials that may be handed out later, at most.
        """
        share = self.allocator.spread_share(
            course.raised,
            self._taken_shares,
            max(0, min(num_to_come, self.at_once - len(self._taken) - 1)),
        )
        num_shares = self.allocator.num_base_shares(share)
        # A share that is larger only to spread the trials takes no slot of another one.
        num_slots = self.allocator.num_base_shares(self.allocator.share_of(course.raised))
        self._taken[name] = _Taken(num_slots=num_slots, num_shares=num_shares)
        if num_slots > 1 + TOLERANCE:
            self._waiting.add(name)
            self._freed_s = self._clock()
        return share

    @property
    def _taken_shares(self) -> list[float]:
        return [taken.num_shares for taken in self._taken.values()]

    def note_start(self, name: str) -> None:
        """Record that a trial has its resources and runs."""
        self._waiting.discard(name)

    def free(self, name: str) -> None:
        """Free the slots of a trial."""
        self._taken.pop(name, None)
        self._freed_s = self._clock()
        # A trial may end before it ran, for instance if its worker could not start.
        self._waiting.discard(name)


class CoordinatorSearcher(Searcher):
    """Passes the coordinator's trials to Ray, as many at a time as there are slots.

    Results take another way: Ray drops some before it notifies the searcher, and suppresses the
    searcher's errors. The scheduler passes them to the coordinator.

    Args:
        coordinator: The search.
        make_task: Returns a trial's Ray config, from its share.
        slots: The slots of the cluster.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        make_task: Callable[[TrialCourse, ResourceShare], dict[str, Any]],
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
        is_full = self._slots.are_full(self._coordinator.returning)
        if is_full and self._coordinator.halted is None:
            return None
        with self._coordinator.keeping_errors():
            course = self._coordinator.next_trial(self._slots.fits)
        if course is None:
            # After FINISHED Ray asks no more, but a running trial may fail and have to run again.
            may_continue = self._coordinator.halted is None and self._coordinator.has_running
            return None if may_continue else self.FINISHED
        share = self._slots.take(trial_id, course, self._coordinator.num_to_come)
        return self._make_task(course, share)

    def on_trial_start(self, trial_id: str) -> None:
        """Record that a trial has a worker; `Recorder` calls this; Ray does not."""
        self._slots.note_start(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Free the trial's slots."""
        del result, error
        self._slots.free(trial_id)
