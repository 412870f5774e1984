"""The suggestions behind Ray Tune's Searcher interface."""

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from search.conductor import Conductor
from search.course import TrialCourse


class ConductorSearcher(Searcher):
    """Hands the conductor's trials to Ray, at most so many at a time.

    Results do not come this way: Ray drops some before it tells the searcher, and swallows what
    the searcher raises. The scheduler tells the conductor.

    Args:
        conductor: The search.
        make_task: Gives a trial's Ray config.
        max_concurrent: Trials that may be out at once.
    """

    def __init__(
        self,
        conductor: Conductor,
        make_task: Callable[[TrialCourse], dict[str, Any]],
        *,
        max_concurrent: int,
    ) -> None:
        super().__init__()
        self._conductor = conductor
        self._make_task = make_task
        self._max_concurrent = max_concurrent
        self._out: set[str] = set()

    def suggest(  # type: ignore[override]  # Ray's own FINISHED is text
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """Gives the next trial's Ray config, None while all places are taken, or the end."""
        if len(self._out) >= self._max_concurrent and self._conductor.halted is None:
            return None
        course = self._conductor.next_trial()
        if course is None:
            return self.FINISHED
        self._out.add(trial_id)
        return self._make_task(course)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Frees the trial's place."""
        del result, error
        self._out.discard(trial_id)
