"""The state of a running search, for its coordinator and its progress display."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from results.records.record_values import HaltReason
from search.loop.trial_course import Budget, TrialCourse
from trainable.config.eval_plan import EVERY_EPOCH


class SearchState:
    """A search's trials, its budget and its clock.

    Args:
        budget: The limits of the search.
        clock: Returns seconds; only differences are used.

    Attributes:
        budget: The limits of the search.
        eval_plan: The epochs of all trials that are evaluated.
        trials: All trials in the order of their numbers, follow-ups included.
        met_by: Number of the first trial whose VEER met the target, None before.
        halted: Why no epoch is started any more, None while the search goes on.
        halt_message: Explanation of the halt for the user, empty if the reason is enough.
        num_reported: New epochs that were reported to this process, without replayed ones.
        error: The first error that went through `keeping_errors`.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float] = time.monotonic) -> None:
        self.budget = budget
        self.eval_plan = EVERY_EPOCH
        self.trials: list[TrialCourse] = []
        self.met_by: int | None = None
        self.halted: HaltReason | None = None
        self.halt_message = ""
        self.num_reported = 0
        self.error: Exception | None = None
        self._clock = clock
        self._started_s = clock()
        self._working_since_s: float | None = None
        self._num_epochs = 0

    @contextmanager
    def keeping_errors(self) -> Iterator[None]:
        """Keep the first error of the block in `error`: Ray passes on only its traceback."""
        try:
            yield
        except Exception as error:
            self.error = self.error or error
            raise

    @property
    def elapsed_s(self) -> float:
        """Seconds since this process took up the search."""
        return self._clock() - self._started_s

    @property
    def working_s(self) -> float:
        """Seconds since this process handed out its first trial, 0 before."""
        return 0.0 if self._working_since_s is None else self._clock() - self._working_since_s

    @property
    def own_trials(self) -> list[TrialCourse]:
        """The search's own trials, without follow-ups."""
        return [trial for trial in self.trials if trial.follow_up is None]

    @property
    def has_running(self) -> bool:
        """Whether a trial is running: after a fault it may have to be handed out again."""
        return any(trial.is_running for trial in self.trials)

    @property
    def returning(self) -> list[TrialCourse]:
        """The trials that came back unfinished, and are to be handed out again."""
        return [trial for trial in self.trials if trial.state is None and not trial.is_running]

    @property
    def num_to_come(self) -> int:
        """How many trials may still be handed out, at most: new ones and those that came back."""
        num = len(self.returning)
        if self.met_by is None and not self.is_spent:
            num += max(0, self.budget.num_trials - len(self.own_trials))
        # Follow-ups begin when all other trials have ended.
        if num or any(trial.state is None for trial in self.own_trials):
            return num
        num_begun = len(self.trials) - len(self.own_trials)
        return max(0, self.budget.follow_ups.max_trials - num_begun)

    @property
    def num_epochs(self) -> int:
        """Epochs of the search's own trials together, in this process and before."""
        return self._num_epochs

    @property
    def is_out_of_time(self) -> bool:
        """Whether the search has run as long as its budget allows."""
        limit_s = self.budget.time_limit_s
        return limit_s is not None and self.elapsed_s >= limit_s

    @property
    def is_spent(self) -> bool:
        """Whether the search's own trials have used all the epochs of the budget."""
        total = self.budget.total_epochs
        return total is not None and self._num_epochs >= total

    def halt(self, reason: HaltReason, message: str = "") -> None:
        """Hand out no trial and start no epoch from now on; only the first reason is kept."""
        if self.halted is None:
            self.halted, self.halt_message = reason, message

    def _hand_out(self, course: TrialCourse) -> TrialCourse:
        course.is_running = True
        # Not from the start of the process: connecting to Ray and measuring the teacher would
        # distort the estimate of the time left.
        if self._working_since_s is None:
            self._working_since_s = self._clock()
        return course

    def _unfinished(self) -> list[int]:
        return [number for number, course in enumerate(self.trials) if course.state is None]
