"""Ray Tune's callbacks: report faults to the coordinator, and refresh the view at every step."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.stopper import Stopper

from search.loop.coordinator import Coordinator
from search.loop.trial_course import Fault
from search.ray_tune.actors import fault_from_error, kill_actor
from search.ray_tune.hangs import HangWatch
from search.ray_tune.scheduler import CoordinatorScheduler
from trainable.machine.device_errors import MAX_MESSAGE_CHARS
from trainable.machine.memory_share import OUT_OF_MEMORY

logger = logging.getLogger(__name__)


class Recorder(Callback):
    """Reports faults of trials to the coordinator, and kills the trials that hang.

    Epochs and regular ends reach the coordinator through the scheduler: Ray calls it first, and
    does not suppress its errors.

    Args:
        coordinator: The search.
        scheduler: Handles trials that Ray's memory monitor killed.
        watch: Detects trials that hang; the scheduler passes it every report.
        on_step: Called after every step of Ray's loop, at least ten times a second.
        on_start: Called with Ray's name of a trial when it has a worker.
        is_stopping: Whether the search ends at once. Then a dying trial is no fault.

    Attributes:
        killed: The fault to record of trials whose workers were killed on purpose, by Ray's name.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        scheduler: CoordinatorScheduler,
        watch: HangWatch,
        *,
        on_step: Callable[[], None],
        on_start: Callable[[str], None],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._coordinator = coordinator
        self._scheduler = scheduler
        self._watch = watch
        self._on_step = on_step
        self._on_start = on_start
        self._is_stopping = is_stopping
        self.killed: dict[str, Fault] = {}

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Report that a trial has a worker."""
        del iteration, trials, info
        self._on_start(trial.trial_id)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Report the fault; the coordinator, not Ray, decides whether the trial runs again."""
        del iteration, trials, info
        # Workers that are killed on the way out would be counted as faults in the journal.
        if self._is_stopping():
            return
        number, fault = int(trial.config["trial"]), self._fault(trial)
        logger.warning("trial %d, %s: %s", number, fault.kind, fault.message)
        with self._coordinator.keeping_errors():
            if fault.kind == OUT_OF_MEMORY:
                self._scheduler.out_of_memory(trial.config, fault.message)
            else:
                self._coordinator.fault(number, fault.kind, fault.message)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Kill the trials that hang, and refresh the view."""
        del iteration, info
        if not self._is_stopping():
            self._kill_hung(trials)
        with self._coordinator.keeping_errors():
            self._on_step()

    def _fault(self, trial: Trial) -> Fault:
        # First: a worker that was killed on purpose looks to Ray like any dead worker.
        return self.killed.pop(trial.trial_id, None) or read_trial_fault(trial)

    def _kill_hung(self, trials: list[Trial]) -> None:
        actors = {
            trial.trial_id: trial.temporary_state.ray_actor
            for trial in trials
            if trial.temporary_state.ray_actor is not None
        }
        for name, limit_s in self._watch.hung(actors).items():
            message = f"no epoch within {limit_s:.0f} s, killed"
            self.killed[name] = Fault(kind="hung", message=message)
            kill_actor(actors[name])


class HaltStopper(Stopper):
    """A stopper that ends Ray's loop at once when a halted search requires it.

    Args:
        is_urgent: Whether to end without waiting for the running epochs.
    """

    def __init__(self, is_urgent: Callable[[], bool]) -> None:
        self._is_urgent = is_urgent

    def __getstate__(self) -> dict[str, Any]:
        """Return an empty state: Ray's snapshots pickle the stopper, and Veer never reads them."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: a single trial is never stopped here."""
        del trial_id, result
        return False

    def stop_all(self) -> bool:
        """Return whether to end now."""
        return self._is_urgent()


def read_trial_fault(trial: Trial) -> Fault:
    """Return why a trial failed in Ray.

    Tune wrote the error to a file in its temporary folder, from this process; unpickling it is
    safe.
    """
    # The object is preferred to the text: it has the class, the cause and Ray's flags.
    file = trial.pickled_error_file
    if file is not None and Path(file).is_file():
        try:
            return fault_from_error(cloudpickle.loads(Path(file).read_bytes()))
        except Exception:  # noqa: BLE001 - unpickling a user's own class may raise anything
            logger.warning("trial %s: its error cannot be read back", trial.config["trial"])
    text = Path(trial.error_file).read_text(errors="replace") if trial.error_file else ""
    return Fault(kind="error", message=cause_line(text))


def cause_line(text: str) -> str:
    """Return the line with the cause from the last entry of Ray's error file.

    An entry starts with `Failure # 2 (...)`. Then follows a traceback, with the cause in its last
    line, or Ray's message about a lost worker, with the cause in its first line.
    """
    entry = text.rpartition("Failure # ")[2].splitlines()[1:]
    lines = [line.strip() for line in entry if line.strip()]
    if not lines:
        return "unknown"
    cause = lines[-1] if any(" File " in f" {line}" for line in lines) else lines[0]
    return cause[:MAX_MESSAGE_CHARS]
