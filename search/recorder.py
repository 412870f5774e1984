"""Ray Tune's callbacks: failures go to the conductor, every step refreshes the view."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.stopper import Stopper

from search.conductor import Conductor

MAX_REASON_CHARS = 300

logger = logging.getLogger(__name__)


class Recorder(Callback):
    """Tells the conductor of trials that failed for good.

    Epochs and regular ends reach it through the scheduler, which Ray asks first and whose errors
    Ray does not swallow.

    Args:
        conductor: The search.
        on_step: Called after every step of Ray's loop, at least ten times a second.
        on_start: Told Ray's name of a trial that has a worker.
    """

    def __init__(
        self,
        conductor: Conductor,
        on_step: Callable[[], None],
        on_start: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._conductor = conductor
        self._on_step = on_step
        self._on_start = on_start

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Notes that a trial has a worker."""
        del iteration, trials, info
        self._on_start(trial.trial_id)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Notes that Ray tries a trial again."""
        del iteration, trials, info
        logger.warning("trial %s is tried again: %s", trial.config["trial"], failure_of(trial))

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Ends a trial that failed once too often."""
        del iteration, trials, info
        with self._conductor.noting_errors():
            self._conductor.end(int(trial.config["trial"]), "failed", failure_of(trial))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Refreshes the view."""
        del iteration, trials, info
        self._on_step()


class HaltStopper(Stopper):
    """Ends Ray's loop at once where a halted search asks for it.

    Args:
        is_urgent: Whether not to wait for the running epochs.
    """

    def __init__(self, is_urgent: Callable[[], bool]) -> None:
        self._is_urgent = is_urgent

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray's snapshots pickle the stopper, and nobody reads them."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stops no single trial."""
        del trial_id, result
        return False

    def stop_all(self) -> bool:
        """Whether to end now."""
        return self._is_urgent()


def failure_of(trial: Trial) -> str:
    """Why Ray's trial failed last, in one line."""
    file = trial.error_file
    return failure_reason(Path(file).read_text(errors="replace") if file else "")


def failure_reason(text: str) -> str:
    """The line of Ray's error file that says most, from its last entry.

    An entry is headed `Failure # 2 (...)` and holds a traceback, whose last line says what
    happened, or Ray's account of a lost worker, whose first line does.
    """
    entry = text.rpartition("Failure # ")[2].splitlines()[1:]
    lines = [line.strip() for line in entry if line.strip()]
    if not lines:
        return "unknown"
    says_most = lines[-1] if any(" File " in f" {line}" for line in lines) else lines[0]
    return says_most[:MAX_REASON_CHARS]
