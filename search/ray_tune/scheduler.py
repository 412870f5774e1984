"""Early stopping behind Ray Tune's TrialScheduler interface."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.loop.coordinator import Coordinator
from search.loop.shares import ShareAllocator
from search.ray_tune.hangs import HangWatch
from trainable.config.trial_config import TrialConfig
from trainable.machine.memory_share import OUT_OF_MEMORY
from trainable.training.epoch_report import EpochReport
from trainable.training.ray_trial import DAMAGED, DISK_FULL, OUTCOME, PLACEMENT, REASON

DELIMITER = "/"


def place_in(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where a trial was begun, as `ray_trial.place_of` gave it; None in later results.

    Args:
        result: As Tune hands it to a scheduler: `place/host` in place of `host` in `place`.
    """
    if PLACEMENT in result:
        return dict(result[PLACEMENT])
    place: dict[str, Any] = {}
    for key, value in result.items():
        if not key.startswith(PLACEMENT + DELIMITER):
            continue
        *outer, name = key.split(DELIMITER)[1:]
        inner = place
        for each in outer:
            inner = inner.setdefault(each, {})
        inner[name] = value
    return place or None


def other_config(asked: TrialConfig, place: Mapping[str, Any]) -> str | None:
    """Why a trial cannot count: its worker built the trainer of another config; else None.

    Args:
        asked: The trial's config.
        place: What the worker says, as `ray_trial.place_of` gives it; one that names no config
            is left to the comparison of versions.
    """
    wanted, built = asked.config_hash(), place.get("config_hash")
    if built in (wanted, None):
        return None
    return (
        f"the worker on {place['host']} built a trainer of config {built}, the trial's is "
        f"{wanted}: install the same Veer on every node, then go on with the search"
    )


# Ray adds fields of its own to a result; the journal takes these.
REPORT_FIELDS = frozenset(field.name for field in fields(EpochReport)) | {"num_params"}


class CoordinatorScheduler(FIFOScheduler):
    """Passes every result to the coordinator and its answer back to Ray.

    Args:
        coordinator: The search.
        allocator: Decides the share of a trial, also after it ran out of memory.
        watch: Told of every report.
    """

    def __init__(
        self, coordinator: Coordinator, allocator: ShareAllocator, watch: HangWatch
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._coordinator = coordinator
        self._allocator = allocator
        self._watch = watch

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Takes an epoch's report, or the word that a trial cannot go on."""
        del tune_controller
        number = int(trial.config["trial"])
        with self._coordinator.keeping_errors():
            epoch = result.get("epoch")
            is_new = epoch is not None and epoch not in self._coordinator.trials[number].veer_pct
            self._watch.reported(trial.trial_id, is_new=is_new)
            goes_on = self._take(number, result)
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def out_of_memory(self, number: int, message: str) -> None:
        """Hands a trial out again with twice its share, or ends it where it had all there is.

        Args:
            number: The trial.
            message: What ran out.
        """
        raised = self._allocator.doubled(self._coordinator.trials[number].raised)
        if raised is not None:
            self._coordinator.out_of_memory(number, raised, message)
        else:
            reason = f"out of memory with {self._allocator.largest_in_words()}: {message}"
            self._coordinator.end(number, "failed", reason)

    def _take(self, number: int, result: dict[str, Any]) -> bool:
        if (place := place_in(result)) is not None:
            self._coordinator.record_placement(number, place)
            config = self._coordinator.trials[number].config
            if (reason := other_config(config, place)) is not None:
                self._coordinator.end(number, "failed", reason)
                return False
        for message in result.get(DAMAGED, ()):
            self._coordinator.note_damage(number, message)
        match result.get(OUTCOME):
            case None:
                report = {name: value for name, value in result.items() if name in REPORT_FIELDS}
                epoch, veer_pct = report.pop("epoch"), report.pop("veer_pct")
                return self._coordinator.report(number, epoch, veer_pct, report)
            case value if value == OUT_OF_MEMORY:
                self.out_of_memory(number, result[REASON])
            case value if value == DISK_FULL:
                # The journal may be on the same disk; the trial stays unfinished.
                self._coordinator.halt("disk_full", result[REASON])
            case state:
                self._coordinator.end(number, state, result[REASON])
        return False
