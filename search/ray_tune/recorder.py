"""Ray Tune's callbacks: faults go to the coordinator, every step refreshes the view."""

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
from search.ray_tune.actors import fault_of, kill_actor
from search.ray_tune.hangs import HangWatch
from search.ray_tune.scheduler import CoordinatorScheduler
from trainable.machine.device_errors import MAX_MESSAGE_CHARS
from trainable.machine.memory_share import OUT_OF_MEMORY

logger = logging.getLogger(__name__)


class Recorder(Callback):
    """Tells the coordinator what happened to trials, and kills those that hang.

    Epochs and regular ends reach it through the scheduler, which Ray asks first and whose errors
    Ray does not swallow.

    Args:
        coordinator: The search.
        scheduler: Told of trials that Ray's memory monitor killed.
        watch: What says that a trial hangs; the scheduler tells it of reports.
        on_step: Called after every step of Ray's loop, at least ten times a second.
        on_start: Told Ray's name of a trial that has a worker.
        is_stopping: Whether the search ends at once, so that dying trials mean nothing.
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
        self._hung: dict[str, float] = {}

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Notes that a trial has a worker."""
        del iteration, trials, info
        self._on_start(trial.trial_id)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Takes a trial back: Ray itself never runs one again."""
        del iteration, trials, info
        if self._is_stopping():
            return
        number, fault = int(trial.config["trial"]), self._fault(trial)
        logger.warning("trial %d, %s: %s", number, fault.kind, fault.message)
        with self._coordinator.keeping_errors():
            if fault.kind == OUT_OF_MEMORY:
                self._scheduler.out_of_memory(number, fault.message)
            else:
                self._coordinator.fault(number, fault.kind, fault.message)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Kills what hangs and refreshes the view."""
        del iteration, info
        if not self._is_stopping():
            self._kill_hung(trials)
        with self._coordinator.keeping_errors():
            self._on_step()

    def _fault(self, trial: Trial) -> Fault:
        limit_s = self._hung.pop(trial.trial_id, None)
        if limit_s is not None:
            return Fault(kind="hung", message=f"no epoch within {limit_s:.0f} s, killed")
        return fault_of_trial(trial)

    def _kill_hung(self, trials: list[Trial]) -> None:
        actors = {
            trial.trial_id: trial.temporary_state.ray_actor
            for trial in trials
            if trial.temporary_state.ray_actor is not None
        }
        hung = self._watch.hung(actors)
        self._hung |= hung
        for name in hung:
            kill_actor(actors[name])


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


def fault_of_trial(trial: Trial) -> Fault:
    """Why Ray's trial failed.

    The error is read from a file that this process wrote, in Tune's temporary folder.
    """
    file = trial.pickled_error_file
    if file is not None and Path(file).is_file():
        try:
            return fault_of(cloudpickle.loads(Path(file).read_bytes()))
        except Exception:  # noqa: BLE001 - of a class of the person's: any may be raised
            logger.warning("trial %s: its error cannot be read back", trial.config["trial"])
    text = Path(trial.error_file).read_text(errors="replace") if trial.error_file else ""
    return Fault(kind="error", message=line_that_says_most(text))


def line_that_says_most(text: str) -> str:
    """The line of Ray's error file that says most, from its last entry.

    An entry is headed `Failure # 2 (...)` and holds a traceback, whose last line says what
    happened, or Ray's account of a lost worker, whose first line does.
    """
    entry = text.rpartition("Failure # ")[2].splitlines()[1:]
    lines = [line.strip() for line in entry if line.strip()]
    if not lines:
        return "unknown"
    says_most = lines[-1] if any(" File " in f" {line}" for line in lines) else lines[0]
    return says_most[:MAX_MESSAGE_CHARS]
